"""Which of several processes of one server this is."""

from typing import Final

#: The key of an app's configuration with the number of the process, from 0: it is added to the port of the metrics.
#: `None` in a command, which serves nobody, and runs beside the server.
PROCESS_NUMBER: Final = "QUARTLOGIN_PROCESS_NUMBER"
