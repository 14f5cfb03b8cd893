// Brings what happens to the account to its open page. Without script, the page shows it when it is loaded again.
"use strict";

(() => {
  const LOGIN_HAS_ENDED = 1008;
  const LISTS = ["sign-ins", "tokens", "events"];
  const news = document.getElementById("news");
  const SHORTEST_PAUSE = 1000; // milliseconds before the next try to connect
  const LONGEST_PAUSE = 60000;
  let pause = SHORTEST_PAUSE;
  let hasEnded = false;

  const showLocalTimes = () => {
    for (const time of document.querySelectorAll("time")) {
      const words = { dateStyle: "medium", timeStyle: "short" };
      time.textContent = new Intl.DateTimeFormat(undefined, words).format(new Date(time.dateTime));
    }
  };

  const say = (text, address) => {
    news.textContent = text;
    if (address) {
      const link = document.createElement("a");
      link.href = address;
      link.textContent = "Sign in again";
      news.append(" ", link, ".");
    }
    news.hidden = false;
  };

  const sayThatThisSignInHasEnded = () => {
    hasEnded = true;
    for (const control of document.querySelectorAll("main button, main input, main select")) {
      control.disabled = true;
    }
    say("This sign-in has ended: what you see here is no longer up to date.", news.dataset.signIn);
  };

  // Fetches the page and puts its lists in the place of those shown; a form that is being filled in stays.
  // The header says that nobody asked for it: an open page alone does not keep a sign-in alive.
  const refresh = async () => {
    const headers = { Accept: "text/html", "Quartlogin-Background": "1" };
    const answer = await fetch(news.dataset.account, { headers });
    if (answer.redirected || answer.status === 401) {
      sayThatThisSignInHasEnded();
      return;
    }
    if (!answer.ok) {
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of LISTS) {
      const section = document.getElementById(id);
      if (!section.contains(document.activeElement) || document.activeElement.tagName === "BUTTON") {
        section.replaceChildren(...page.getElementById(id).childNodes);
      }
    }
    showLocalTimes();
  };

  const hear = async ({ data }) => {
    const event = JSON.parse(data);
    await refresh();
    if (event.here || hasEnded) {
      return;
    }
    const where = [event.browser, event.address].filter(Boolean).join(", ");
    say(`${event.text}: ${where}.`);
  };

  // What happened while no socket was open is fetched when one is; whether the sign-in lives still, when none can be.
  const connect = () => {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}${news.dataset.account}/live`);
    let wasOpen = false;
    socket.addEventListener("open", () => {
      wasOpen = true;
      pause = SHORTEST_PAUSE;
      refresh().catch(() => {});
    });
    socket.addEventListener("message", (message) => { hear(message).catch(() => {}); });
    socket.addEventListener("close", async ({ code }) => {
      if (code === LOGIN_HAS_ENDED) {
        sayThatThisSignInHasEnded();
      } else if (!wasOpen) {
        await refresh().catch(() => {});
      }
      if (!hasEnded) {
        setTimeout(connect, pause);
        pause = Math.min(pause * 2, LONGEST_PAUSE);
      }
    });
  };

  showLocalTimes();
  connect();
})();
