"""Starts the server: python main.py"""

import os

import uvicorn

if __name__ == "__main__":
    # By default, uvicorn trusts X-Forwarded-For from any client on this machine. app.py evaluates it instead.
    uvicorn.run(
        "app:app",
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "3000")),
        proxy_headers=False,
        access_log=False,
    )
