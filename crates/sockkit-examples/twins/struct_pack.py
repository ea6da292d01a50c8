# struct as a program: struct_pack.py FORMAT -- VALUE...  or  FORMAT --unpack HEX
import struct
import sys


def value(code, text):
    if code in 'csp':
        return text.encode()
    if code == '?':
        return text == 'true'
    return float(text) if code in 'efd' else int(text)


def codes(form):
    """The code of each value: 's' and 'p' take one however long they are."""
    count = ''
    for letter in form.lstrip('@=<>!'):
        if letter.isdigit():
            count += letter
            continue
        repeat = 1 if letter in 'sp' else int(count or 1)
        yield from letter * (0 if letter == 'x' else repeat)
        count = ''


def show(value):
    if isinstance(value, bool):
        return str(value).lower()
    return value.decode() if isinstance(value, bytes) else str(value)


form = sys.argv[1]
if sys.argv[2] == '--unpack':
    for value in struct.unpack(form, bytes.fromhex(sys.argv[3])):
        print(show(value))
else:
    values = map(value, codes(form), sys.argv[3:])
    print(struct.pack(form, *values).hex())
