// Updates an open account page when something happens to the account. Without script, reloading the page does the same.
import { showLocalTimes } from "./times.js";

const LOGIN_ENDED = 1008;
const LISTS = ["sign-ins", "tokens", "events"];
const notice = document.getElementById("notice");
const MIN_DELAY = 1000; // milliseconds until the next attempt to connect
const MAX_DELAY = 60000;
let delay = MIN_DELAY;
let loginEnded = false;

const show = (text, address) => {
  notice.textContent = text;
  if (address) {
    const link = document.createElement("a");
    link.href = address;
    link.textContent = "Sign in again";
    notice.append(" ", link, ".");
  }
  notice.hidden = false;
};

const showThatLoginEnded = () => {
  loginEnded = true;
  for (const control of document.querySelectorAll("main button, main input, main select")) {
    control.disabled = true;
  }
  show("You have been signed out here. This page is no longer up to date.", notice.dataset.signIn);
};

// Fetches the page and replaces its lists, except one whose form is being filled in.
// The header marks a background request: an open page alone does not keep a login alive.
const refresh = async () => {
  const headers = { Accept: "text/html", "Quartlogin-Background": "1" };
  const response = await fetch(notice.dataset.account, { headers });
  if (response.redirected || response.status === 401) {
    showThatLoginEnded();
    return;
  }
  if (!response.ok) {
    return;
  }
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  showLocalTimes(page);
  for (const id of LISTS) {
    const section = document.getElementById(id);
    const current = page.getElementById(id);
    const isFilledIn = section.contains(document.activeElement) && document.activeElement.tagName !== "BUTTON";
    if (!isFilledIn && section.innerHTML !== current.innerHTML) { // a button that is replaced loses a click
      section.replaceChildren(...current.childNodes);
    }
  }
};

const receive = async ({ data }) => {
  const event = JSON.parse(data);
  await refresh();
  if (event.here || loginEnded) {
    return;
  }
  const client = [event.browser, event.address].filter(Boolean).join(", ");
  show(`${event.text}: ${client}.`);
};

// Fetches what happened meanwhile when a websocket opens, and checks whether the login is still active when none can.
const connect = () => {
  const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}${notice.dataset.account}/live`);
  let wasOpen = false;
  socket.addEventListener("open", () => {
    wasOpen = true;
    delay = MIN_DELAY;
    refresh().catch(() => {});
  });
  socket.addEventListener("message", (message) => { receive(message).catch(() => {}); });
  socket.addEventListener("close", async ({ code }) => {
    if (code === LOGIN_ENDED) {
      showThatLoginEnded();
    } else if (!wasOpen) {
      await refresh().catch(() => {});
    }
    if (!loginEnded) {
      setTimeout(connect, delay);
      delay = Math.min(delay * 2, MAX_DELAY);
    }
  });
};

connect();
