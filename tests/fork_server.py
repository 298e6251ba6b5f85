"""A process that has ``vigie`` loaded and forks: what starts in it need not load everything once more (``tests/started.py``).

Asked over a socket, with the three standard streams beside each question. Who is forked is no child of this process but of the
one that asked (who is the reaper of orphans meanwhile), and goes on as ``python -m vigie`` does from there: nothing of the
server is left in it but what it has imported.
"""

import gc
import importlib
import json
import os
import socket
import sys
import time

#: What the long-running commands load, together.
LOADED = ("vigie.up", "vigie.worker", "vigie.member", "vigie.web", "vigie.instance", "vigie.publish", "agents.worker")


def serve(asked: socket.socket) -> list[str]:
    """Fork for each question; return in the forked process, with the words that it is called with. Ends with who asks."""
    while True:
        question, streams, _, _ = socket.recv_fds(asked, 1 << 20, 3)
        if not question:
            os._exit(0)
        told, tell = os.pipe()
        if (between := os.fork()) == 0:
            if (pid := os.fork()) != 0:
                os.write(tell, str(pid).encode())
                os._exit(0)
            os.close(tell)
            asked.close()
            return _begin(json.loads(question), streams, told)
        for one in streams:
            os.close(one)
        pid = int(os.read(told, 32))
        os.waitpid(between, 0)  # now it is a child of who asked
        asked.sendall(str(pid).encode())
        os.close(told)
        os.close(tell)


def _begin(question: dict[str, object], streams: list[int], orphaned: int) -> list[str]:
    """Become a process as the question has it: words, folder, environment, streams."""
    while os.read(orphaned, 32):  # ends once the server has seen the process between off
        pass
    for number, one in enumerate(streams):
        os.dup2(one, number)
    os.closerange(3, 1024)
    words, folder, environment = question["words"], question["folder"], question["environment"]
    assert isinstance(words, list) and isinstance(folder, str) and isinstance(environment, dict)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.path[0] = folder
    return [str(word) for word in words]


def main() -> None:
    """Load, then wait for questions; in a forked process: be ``python -m vigie``."""
    import runpy

    asked = socket.socket(fileno=int(sys.argv[1]))
    for name in LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is loaded is looked through by no process again
    sys.argv[1:] = serve(asked)
    runpy.run_module("vigie", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
