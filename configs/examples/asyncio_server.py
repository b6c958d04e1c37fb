"""Serves a best.yaml over HTTP on asyncio, with starlette and uvicorn: python asyncio_server.py BEST.yaml [PORT].

POST one sample as the bytes of a float32 array; the answer is the bytes of the first output.
"""

import sys

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import tuner
from tuner.errors import InputError, QueueFullError

best = tuner.load_best(sys.argv[1])
((name, sample),) = best.inputs.items()


async def answer(request: Request) -> Response:
    try:
        picture = np.frombuffer(await request.body(), np.float32).reshape(sample.shape)
        outputs = await predictor.ainfer({name: picture})  # the loop serves others meanwhile
    except QueueFullError as error:
        return Response(str(error), 503)
    except (InputError, ValueError) as error:
        return Response(str(error), 400)
    return Response(outputs[0].tobytes(), media_type="application/octet-stream")


app = Starlette(routes=[Route("/", answer, methods=["POST"])])
with best.compile().predictor(max_wait_ms=5, max_waiting=256) as predictor:
    uvicorn.run(app, port=int(sys.argv[2]) if len(sys.argv) > 2 else 8000, access_log=False)
