"""Serves a best.yaml from forked workers, one for each replica, with gunicorn.

    python prefork_server.py BEST.yaml [PORT]

POST one sample as the bytes of a float32 array; the answer is the bytes of the first output. Each worker compiles for
itself, after the fork: OpenVINO's threads do not survive one.
"""

import sys

import numpy as np
from gunicorn.app.base import BaseApplication

import tuner
from tuner.errors import InputError, QueueFullError

best = tuner.load_best(sys.argv[1])  # loads neither OpenVINO nor the model
((name, sample),) = best.inputs.items()


def pre_fork(server, worker):
    """Gives the worker a number: the lowest that no living worker has."""
    taken = {other.replica for other in server.WORKERS.values()}
    worker.replica = min(set(range(len(taken) + 1)) - taken) % best.replicas


def post_worker_init(worker):
    """Compiles. In post_fork it would work too, but gunicorn loses a SIGTERM that comes there."""
    global predictor
    replica = worker.replica if best.affinity == "split" else None
    predictor = best.compile(replica=replica).predictor(max_wait_ms=5, max_waiting=256)


def answer(environ, start_response):
    try:
        body = environ["wsgi.input"].read()
        picture = np.frombuffer(body, np.float32).reshape(sample.shape)
        status, content = "200 OK", predictor.infer({name: picture})[0].tobytes()
    except QueueFullError as error:
        status, content = "503 Service Unavailable", str(error).encode()
    except (InputError, ValueError) as error:
        status, content = "400 Bad Request", str(error).encode()
    start_response(status, [("Content-Length", str(len(content)))])
    return [content]


class Server(BaseApplication):
    def load_config(self):
        port = sys.argv[2] if len(sys.argv) > 2 else 8000
        threads = best.batch_size * best.infer_requests + 1  # as many calls as the tuned configuration takes at once
        hooks = {"pre_fork": pre_fork, "post_worker_init": post_worker_init}
        for key, value in {"bind": f"127.0.0.1:{port}", "workers": best.replicas, "threads": threads, **hooks}.items():
            self.cfg.set(key, value)

    def load(self):
        return answer


Server().run()
