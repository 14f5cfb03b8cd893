"""Which of several processes of one server this is."""

from typing import Final

#: The key of an app's configuration with the number of the process, from 0: it is added to the port of the metrics.
#: `None` in a command, which runs beside the server and serves no requests.
PROCESS_NUMBER: Final = "QUARTLOGIN_PROCESS_NUMBER"
