"""What is known to fail under Wine, by cause: known.tsv beside this file.

A line has three columns, with tabs between them. `cause`, its name, its evidence; or
`test` or `row`, the name of its cause, and what fails. A name may end in `*`: then all
that begin so fail.
"""

import os

PATH = os.path.join(os.path.dirname(__file__), "known.tsv")


class Known:
    """The entries of one kind."""

    def __init__(self, kind):
        self.causes, self.entries = {}, {}
        for number, line in enumerate(open(PATH, encoding="utf-8"), 1):
            if line.startswith("#") or not line.strip():
                continue
            what, cause, text = line.rstrip("\n").split("\t")
            if what == "cause":
                self.causes[cause] = text
            elif cause not in self.causes:
                raise SystemExit(f"{PATH}:{number}: no cause {cause}")
            elif what == kind:
                self.entries[text] = cause

    def entry(self, name):
        """The entry that `name` is on, or None."""
        if name in self.entries:
            return name
        starts = (entry for entry in self.entries if entry.endswith("*"))
        return next((entry for entry in starts if name.startswith(entry[:-1])), None)

    def judge(self, outcomes, whole):
        """Prints the causes, and what differs from the list.

        `outcomes` holds, by name, None or why it failed. Without `whole` only a part of
        the list was tried.
        """
        counts, wrong, seen = dict.fromkeys(self.causes, 0), [], set()
        for name, failure in outcomes.items():
            entry = self.entry(name)
            seen.add(entry)
            if entry and failure:
                counts[self.entries[entry]] += 1
            elif entry:
                wrong.append(f"on the list, but passes: {name}")
            elif failure:
                wrong.append(f"not on the list: {name}\n{indent(failure)}")
        if whole:
            wrong += [f"on the list, but not found: {entry}" for entry in self.entries.keys() - seen]
        for cause, count in counts.items():
            if count:
                print(f"\n{count:4} {cause}: {self.causes[cause]}")
        for line in wrong:
            print(f"\n{line}")
        return not wrong


def indent(text):
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[:12])
