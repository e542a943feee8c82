"""What the HTTP layer tells the client when a request cannot be served."""


class RequestError(Exception):
    """A request that is answered with an error status and ``{"error": message}``.

    Args:
        status: The HTTP status of the answer.
        message: The text for the client; never contains a token.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
