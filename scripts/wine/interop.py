#!/usr/bin/env python3
"""Runs the programs built for Windows, under Wine, against each other and native ones.

    interop.py WINDOWS NATIVE [WORD …]     called by `scripts/windows interop`

WINDOWS and NATIVE are folders of built programs; with words, only rows that hold one of them
run. Prints a table: a row for each kind of traffic, a column for each pairing, of which
the first listens. Fails if a cell does that is not on the list of known failures, and if
one on the list works.
"""

import fcntl
import hashlib
import os
import pty
import re
import subprocess
import sys
import tempfile
import termios
import threading
import time
import urllib.parse
import urllib.request

from known import Known

WINE = "/usr/lib/wine/wine64"
WINDOWS, NATIVE = map(os.path.abspath, sys.argv[1:3])
TIMEOUT = 60
PAIRINGS = [("wine", "wine"), ("wine", "native"), ("native", "wine")]


class Program:
    """A running program, whose output is searched as it comes."""

    def __init__(self, side, name, *arguments, folder=None, terminal=False):
        self.side, self.text, self.at, self.ended = side, "", 0, False
        self.changed = threading.Condition()
        command = [WINE, f"{WINDOWS}/{name}.exe"] if side == "wine" else [f"{NATIVE}/{name}"]
        keyboard, stdin = pty.openpty() if terminal else (None, subprocess.PIPE)
        # Ctrl-C reaches the programs of the terminal's session.
        adopt = (lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if terminal else None
        self.process = subprocess.Popen(command + [self.path(word) for word in arguments], cwd=folder,
                                        stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        start_new_session=terminal, preexec_fn=adopt)
        if terminal:
            os.close(stdin)
        self.keyboard = keyboard if terminal else self.process.stdin.fileno()
        threading.Thread(target=self.read, daemon=True).start()

    def path(self, argument):
        """A path as the program's system writes it."""
        if self.side == "wine" and argument.startswith("/"):
            return "Z:" + argument.replace("/", "\\")
        return argument

    def read(self):
        said = b""
        while chunk := os.read(self.process.stdout.fileno(), 65_536):
            said += chunk
            with self.changed:
                self.text = said.decode(errors="replace").replace("\r\n", "\n")
                self.changed.notify()
        with self.changed:
            self.ended = True
            self.changed.notify()

    def line(self, pattern):
        """The next match, which must be on a line."""
        deadline = time.monotonic() + TIMEOUT
        with self.changed:
            while not (found := re.compile(pattern, re.MULTILINE).search(self.text, self.at)):
                left = deadline - time.monotonic()
                if self.ended or left < 0:
                    raise AssertionError(f"{self.process.args[-3:]} lacks {pattern!r}: {self.text}")
                self.changed.wait(left)
            self.at = found.end()
            return found

    def listening(self):
        return self.line(r"^listening on (\S+)$")[1].replace("0.0.0.0", "127.0.0.1")

    def type(self, text):
        os.write(self.keyboard, text.encode())

    def end(self, status=0):
        """All that it said, once it has ended with that status."""
        if self.process.stdin:
            self.process.stdin.close()
        is_status = self.process.wait(TIMEOUT)
        with self.changed:
            self.changed.wait_for(lambda: self.ended, TIMEOUT)
        assert is_status == status, f"status {is_status}: {self.text}"
        return self.text

    def kill(self):
        self.process.kill()
        self.process.wait()


RUNNING = []


def run(side, name, *arguments, **how):
    program = Program(side, name, *arguments, **how)
    RUNNING.append(program)
    return program


def says(text, *patterns):
    for pattern in patterns:
        assert re.search(pattern, text, re.MULTILINE), f"lacks {pattern!r}: {text}"


def digest(path):
    with open(path, "rb") as file:
        return hashlib.blake2b(file.read()).hexdigest()


def sample(folder, name="바다 1.bin", size=3_000_017):
    path = f"{folder}/{name}"
    with open(path, "wb") as file:
        file.write(bytes(range(251)) * (size // 251 + 1))
        file.truncate(size)
    return path


# The course's programs.

AT = ("--bind", "127.0.0.1:0")


def text_server(server, *arguments):
    def case(first, second, folder):
        at = run(first, server, *arguments).listening()
        says(run(second, "tcp-client-demo", at, "안녕").end(), "^received: 안녕$")
    return case


def time_told(first, second, folder):
    at = run(first, "time-server", *AT).listening()
    says(run(second, "time-client", at).end(), "^current time: .{24}$")


def typed(server, *lines):
    def case(first, second, folder):
        client = run(second, "tcp-client", run(first, server, *AT).listening())
        for line, answer in lines:
            client.type(line + "\n")
            client.line(f"^{answer}$")
        client.type("q\n")
        client.end()
    return case


def udp_echo(first, second, folder):
    at = run(first, "udp-echo-server", *AT).listening()
    assert run(second, "udp-echo-client", at, "one", "두 번째").end() == "one\n두 번째\n"


def chat(first, second, folder):
    one = run(first, "p2p-chat", *AT)
    two = run(second, "p2p-chat", *AT, one.listening())
    two.line("connected$")
    one.line("connected$")
    one.type("안녕\n")
    two.line(": 안녕$")
    two.type("q\n")
    two.end()
    one.line(r"finished by the peer \(FIN\)$")


def broadcast(first, second, folder):
    receiver = run(first, "broadcast-receiver", "--bind", "0.0.0.0:0", "--count", "1")
    port = receiver.listening().rsplit(":", 1)[1]
    run(second, "broadcast-sender", "--to", f"10.98.0.255:{port}", "all of you").end()
    says(receiver.end(), ": all of you$")


def multicast(first, second, folder):
    via = ("--interface", "10.98.0.1")
    receiver = run(first, "multicast-receiver", "--group", "239.1.2.3:0", *via, "--count", "1")
    run(second, "multicast-sender", "--group", receiver.listening(), *via, "group").end()
    says(receiver.end(), ": group$")


def tcp_file(first, second, folder):
    path, into = sample(folder), f"{folder}/into"
    os.mkdir(into)
    sender = run(first, "tcp-sendfile", path, *AT)
    run(second, "tcp-receivefile", sender.listening(), "--into", into).end()
    sender.end()
    assert digest(f"{into}/new_바다 1.bin") == digest(path)


def udp_file(first, second, folder):
    path, into = sample(folder, size=40_000), f"{folder}/into"
    os.mkdir(into)
    receiver = run(first, "udp-file", "r", *AT, "--into", into)
    run(second, "udp-file", "s", path, "--to", receiver.listening()).end()
    receiver.end()
    assert digest(f"{into}/new_바다 1.bin") == digest(path)


def tcp_video(first, second, folder):
    at = run(first, "tcp-video-server", *AT, "--source", "pattern").listening()
    says(run(second, "tcp-video-client", at, "--frames", "5").end(), "^received 5$")


def udp_video(first, second, folder):
    film = f"{folder}/seen.mp4"
    receiver = run(first, "udp-video-receiver", *AT, "--frames", "10", "--record", film)
    run(second, "udp-video-sender", "--to", receiver.listening(), "--source", "pattern")
    says(receiver.end(), "^recorded 10, ")


# The command.

def files(folder):
    """Files, a folder that is empty, and the one for what arrives."""
    os.makedirs(f"{folder}/from/안쪽/비었음")
    os.mkdir(f"{folder}/into")
    for size, name in (5_000_011, "a.bin"), (17, "안쪽/한글 이름.txt"), (0, "안쪽/empty"):
        yield sample(f"{folder}/from", name, size)


def send_receive(listen, *security):
    def case(first, second, folder):
        sources = list(files(folder))
        receiver = run(first, "sockkit", "receive", "--into", f"{folder}/into", "--listen", listen, "--yes",
                       *security)
        to = listen.split("127")[0] + receiver.listening().split("://")[-1]
        run(second, "sockkit", "send", f"{folder}/from", "--to", to, *security).end()
        receiver.end()
        for source in sources:
            arrived = source.replace("/from/", "/into/from/")
            assert digest(arrived) == digest(source), arrived
            assert abs(os.stat(arrived).st_mtime - os.stat(source).st_mtime) < 1e-6, arrived
        assert os.path.isdir(f"{folder}/into/from/안쪽/비었음")
    return case


def question(first, second, folder):
    path = sample(folder, "film.mkv", 70_000)
    receiver = run(first, "sockkit", "receive", "--plain", "--into", f"{folder}/into", "--listen", "127.0.0.1:0",
                   terminal=True)
    sender = run(second, "sockkit", "send", path, "--plain", "--to", receiver.listening())
    receiver.line(r"\[y/N\] ")
    receiver.type("y\r")
    # Until the program reads, Wine lets the terminal make another key of Enter.
    deadline = time.monotonic() + TIMEOUT
    while sender.process.poll() is None:
        assert time.monotonic() < deadline, f"no answer arrives: {receiver.text}"
        time.sleep(1)
        receiver.type("\r")
    sender.end()
    receiver.end()
    assert digest(f"{folder}/into/film.mkv") == digest(path)


def many(first, second, folder):
    path = sample(folder)
    sender = run(first, "sockkit", "send", path, "--many", "--members", "1", "--listen", "127.0.0.1:0",
                 "--code", "coral-lamp-river", "--once")
    run(second, "sockkit", "receive", sender.listening(), "--code", "coral-lamp-river", "--once", "--yes",
        "--into", f"{folder}/into").end()
    sender.end()
    assert digest(f"{folder}/into/바다 1.bin") == digest(path)


def browser_download(first, second, folder):
    if first != second:
        return "–"
    path = sample(folder, size=300_000)
    page = run(first, "sockkit", "send", path, "--web=127.0.0.1:0").line(r"(http://127.0.0.1:\S+)")[1]
    file = f"{page}file/0/{urllib.parse.quote(os.path.basename(path))}"
    with urllib.request.urlopen(file, timeout=TIMEOUT) as got:
        assert hashlib.blake2b(got.read()).hexdigest() == digest(path)


def is_picture(path):
    with open(path, "rb") as picture:
        assert picture.read(2) == b"\xff\xd8"


def connected(scheme, *security):
    def case(first, second, folder):
        cam = run(first, "sockkit", "cam", "--source", "pattern", "--listen", f"{scheme}://127.0.0.1:0",
                  "--no-announce", *security)
        at = cam.listening().split("://")[-1]
        run(second, "sockkit", "view", f"{scheme}://{at}", "--snapshot", "one.jpg", *security, folder=folder).end()
        is_picture(f"{folder}/one.jpg")
    return case


def datagrams(first, second, folder, security=("--plain",)):
    view = run(first, "sockkit", "view", "udp://127.0.0.1:0", "--snapshot", "one.jpg", *security, folder=folder)
    to = f"udp://{view.listening().split('://')[-1]}"
    run(second, "sockkit", "cam", "--source", "pattern", "--to", to, *security, folder=folder)
    view.end()
    is_picture(f"{folder}/one.jpg")


def sealed(first, second, folder):
    run(second, "sockkit", "key", "new", "one.key", folder=folder).end()
    # As for a key that came by USB stick.
    os.chmod(f"{folder}/one.key", 0o600)
    datagrams(first, second, folder, ("--key", "one.key"))


def shows_pictures(page):
    with urllib.request.urlopen(f"{page}stream", timeout=TIMEOUT) as stream:
        assert b"\xff\xd8" in stream.read(20_000)


def view_web(first, second, folder):
    view = run(first, "sockkit", "view", "udp://127.0.0.1:0", "--plain", "--web", "127.0.0.1:0", folder=folder)
    to = view.listening().split("://")[-1]
    view.at = 0
    page = view.line(r"(http://\S+)")[1]
    run(second, "sockkit", "cam", "--plain", "--source", "pattern", "--to", f"udp://{to}")
    shows_pictures(page)


def interrupted(program, *arguments, status=0, at_work=lambda _at: None, last=""):
    """A program is ended in order by Ctrl-C, typed on its console once it is at work."""
    def case(first, second, folder):
        if first != second:
            return "–"
        server = run(first, program, *arguments, folder=folder, terminal=True)
        at_work(server.line(r"(?:listening on |watch +)(\S+)$")[1])
        server.type("\x03")
        says(server.end(status), last)
    return case


def kept_key(first, second, folder):
    if first != second:
        return "–"
    assert run(first, "sockkit", "id").end() == run(first, "sockkit", "id").end()


def alone(name, *arguments, expected):
    def case(first, second, folder):
        if first != second:
            return "–"
        says(run(first, name, *arguments, folder=folder).end(), *expected)
    return case


CASES = {
    "time-server, time-client": time_told,
    "tcp-echo-server-demo, tcp-client-demo": text_server("tcp-echo-server-demo", *AT),
    "my-tcp-server-ex01, tcp-client-demo": text_server("my-tcp-server-ex01", "--port", "0"),
    "tcp-echo-server, tcp-client": typed("tcp-echo-server", ("one", "one"), ("둘", "둘")),
    "tcp-process-server, tcp-client": typed("tcp-process-server", ("7", "seven"), ("11", "Try again")),
    "p2p-chat": chat,
    "udp-echo-server, udp-echo-client": udp_echo,
    "broadcast-receiver, broadcast-sender": broadcast,
    "multicast-receiver, multicast-sender": multicast,
    "tcp-sendfile, tcp-receivefile": tcp_file,
    "udp-file r, udp-file s": udp_file,
    "tcp-video-server, tcp-video-client": tcp_video,
    "udp-video-receiver, udp-video-sender": udp_video,
    "interfaces": alone("interfaces", expected=["Host name", "127.0.0.1/8", "10.98.0.1/24"]),
    "sockopts": alone("sockopts", expected=["^TCP$", "^UDP$", "SO_RCVBUF: requested 65536"]),
    "struct-pack": alone("struct-pack", ">IH", "1", "2", expected=["^000000010002$"]),
    "multiplex": alone("multiplex", "--clients", "5", "--work", "1", expected=["5 answered"]),
    "backpressure": alone("backpressure", expected=["read by the other program"]),
    "receive, send": send_receive("127.0.0.1:0", "--plain"),
    "receive, send: a code": send_receive("127.0.0.1:0", "--code", "7-coral-lamp", "--once"),
    "receive, send: quic": send_receive("quic://127.0.0.1:0", "--plain"),
    "receive, send: a question": question,
    "send --many, receive": many,
    "send --web": browser_download,
    "cam, view: tcp": connected("tcp", "--plain"),
    "cam, view: a code": connected("tcp", "--code", "coral-lamp-orbit", "--once"),
    "cam, view: quic": connected("quic", "--plain"),
    "view, cam: udp": datagrams,
    "view, cam: udp with a key": sealed,
    "view --web, cam": view_web,
    "demo": alone("sockkit", "demo", "--seconds", "2", "--web", "127.0.0.1:0", "--source", "pattern",
                  expected=["^digest +equal"]),
    "doctor": alone("sockkit", "doctor", expected=["^ok    network: "]),
    "id": kept_key,
    "Ctrl-C: time-server": interrupted("time-server", *AT),
    "Ctrl-C: p2p-chat": interrupted("p2p-chat", *AT),
    "Ctrl-C: receive": interrupted("sockkit", "receive", "--plain", "--yes", "--listen", "127.0.0.1:0", status=130),
    "Ctrl-C: demo": interrupted("sockkit", "demo", "--source", "pattern", "--web", "127.0.0.1:0", status=130,
                                at_work=shows_pictures, last="^recorded "),
}


def attempt(case, first, second):
    """What stands in the cell, and why it failed."""
    with tempfile.TemporaryDirectory(prefix="sockkit-interop-") as folder:
        os.environ["XDG_STATE_HOME"] = f"{folder}/state"
        try:
            return case(first, second, folder) or "ok", None
        except Exception as error:  # noqa: BLE001, every failure is a cell of the table
            return "FAILED", f"{type(error).__name__}: {error}"
        finally:
            while RUNNING:
                RUNNING.pop().kill()


def main():
    wanted = sys.argv[3:]
    known, failures = Known("row"), {}
    print(f"{'':40}" + "".join(f"{'–'.join(pairing):14}" for pairing in PAIRINGS))
    for name, case in CASES.items():
        if wanted and not any(word in name for word in wanted):
            continue
        cells = []
        for first, second in PAIRINGS:
            cell, failure = attempt(case, first, second)
            cells.append(cell)
            if cell != "–":
                failures[f"{name} {first}–{second}"] = failure
        print(f"{name:40}" + "".join(f"{cell:14}" for cell in cells), flush=True)
    sys.exit(not known.judge(failures, whole=not wanted))


main()
