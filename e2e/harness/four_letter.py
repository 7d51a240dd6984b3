"""The four-letter words, as `echo word | nc host port` sends them."""

import socket


def four_letter(address, word, seconds=5.0):
    """The whole answer to `word`, or "" when the connection is closed without one."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), seconds) as sock:
        sock.settimeout(seconds)
        sock.sendall(word.encode())
        answer = b""
        while True:
            try:
                part = sock.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return answer.decode()
            answer += part
