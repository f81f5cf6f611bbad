"""Serves the application: python main.py"""

import os

import uvicorn

if __name__ == "__main__":
    # Left to itself, uvicorn believes the X-Forwarded-For of whoever connects from this machine; app.py reads it.
    uvicorn.run(
        "app:app",
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "3000")),
        proxy_headers=False,
        access_log=False,
    )
