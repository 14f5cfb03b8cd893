// Shows times in the reader's language and time zone. Without script, pages show them in UTC.

export function showLocalTimes(root = document) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time")) {
    time.textContent = format.format(new Date(time.dateTime));
  }
}

showLocalTimes();
