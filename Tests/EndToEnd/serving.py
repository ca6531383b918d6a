"""What the servers of the tests share."""
import threading


class Serving:
    """Has a `server`, which answers on threads of its own while the `with` lasts."""

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
