"""Serves a best.yaml over HTTP, with a thread for each connection: python threaded_server.py BEST.yaml [PORT].

POST one sample as the bytes of a float32 array; the answer is the bytes of the first output.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

import tuner
from tuner.errors import InputError, QueueFullError

best = tuner.load_best(sys.argv[1])
((name, sample),) = best.inputs.items()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave as one packet

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            picture = np.frombuffer(body, np.float32).reshape(sample.shape)
            status, content = 200, predictor.infer({name: picture})[0].tobytes()
        except QueueFullError as error:
            status, content = 503, str(error).encode()
        except (InputError, ValueError) as error:
            status, content = 400, str(error).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


with best.compile().predictor(max_wait_ms=5, max_waiting=256) as predictor:
    server = Server(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 8000), Handler)
    print(f"serving on port {server.server_port}", flush=True)
    server.serve_forever()
