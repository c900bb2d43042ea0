"""A policy server as miners write it: FastAPI on uvicorn, holding still. `python server.py PORT`."""

import sys

import uvicorn
from fastapi import FastAPI, Request

app = FastAPI()
STILL = {"action": {"continuous": {"ee_twist": [0.0] * 6, "gripper": [0.0]}, "discrete": {}, "extra": {}}}


@app.get("/health")
async def health():
    return {"status": "healthy"}


@app.post("/reset")
async def reset(request: Request):
    await request.json()
    return {"status": "ok"}


@app.post("/act")
async def act(request: Request):
    observation = (await request.json())["obs"]
    assert len(observation["proprio"]["ee_pos"]) == 3
    return STILL


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
