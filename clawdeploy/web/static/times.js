// Tells moments in the time zone of whoever looks. The server tells them in UTC, which stays as the title.
const format = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short",
});

// A refresh brings back what the server says, without a title.
function tell() {
  for (const time of document.querySelectorAll("time[datetime]:not([title])")) {
    time.title = time.textContent;
    time.textContent = format.format(new Date(time.dateTime));
  }
}

document.addEventListener("htmx:afterSwap", tell);
tell();
