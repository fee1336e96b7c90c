(() => {
  "use strict";
  const LONGEST_S = 120, SHORTEST_S = 30, PAUSE_S = 6, LONG_NAME = 16, ENDED_MS = 15000, SILENT_MS = 45000, LONGEST_WAIT_MS = 15000;
  const WORDS = {
    waiting: "Listening", calm: "Calm", turning: "Turning upset", upset: "Upset", ended: "Call ended",
  };
  const find = (name) => document.getElementById(name);
  const body = document.body;
  const needsToken = body.dataset.needsToken === "yes";
  const alertFrom = Number(body.dataset.alertFrom);
  const turningFrom = Number(body.dataset.turningFrom);
  const calls = new Map();
  const agents = new Set();
  let socket = null, wait = 0, retry = 0, silence = 0, alerted = "", connected = false;

  const clock = (seconds) => {
    const whole = Math.floor(seconds);
    return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  };
  const shorten = (name) => name.length > LONG_NAME ? `${name.slice(0, 6)}…${name.slice(-4)}` : name;
  const title = (call) => call.agent || `Call ${shorten(call.call)}`;
  const stateOf = (call) => {
    if (call.ended) return "ended";
    if (!call.mood) return "waiting";
    if (call.mood.alert) return "upset";
    return call.mood.upset >= turningFrom ? "turning" : "calm";
  };

  // which calls are shown: all, those of an agent, or one
  const shown = find("shown");
  const chosen = () => {
    const [kind, ...rest] = shown.value.split(":");
    return { kind, name: rest.join(":") };
  };
  const isShown = (call) => {
    const { kind, name } = chosen();
    return !kind || (kind === "agent" ? call.agent === name : call.stream === name);
  };
  const listChoices = () => {
    const before = shown.value;
    const nameless = [...calls.values()].filter((call) => !call.agent);
    const choices = [
      ["", "All calls"],
      ...[...agents].sort().map((name) => [`agent:${name}`, name]),
      ...nameless.map((call) => [`call:${call.stream}`, title(call)]),
    ];
    if (!choices.some(([value]) => value === before)) choices.push([before, "A call that is over"]);
    const now = [...shown.options].map((option) => option.value).join("\n");
    if (now === choices.map(([value]) => value).join("\n")) return;
    shown.replaceChildren(...choices.map(([value, text]) => new Option(text, value, false, value === before)));
  };

  const makeCard = () => {
    const card = find("card").content.firstElementChild.cloneNode(true);
    const part = (name) => card.querySelector(name);
    const heading = part("h2");
    heading.id = `call-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
    card.setAttribute("aria-labelledby", heading.id);
    for (const edge of ["y1", "y2"]) part(".limit").setAttribute(edge, String(100 * (1 - alertFrom)));
    return card;
  };
  const drawHistory = (card, call) => {
    const last = call.mood ? call.mood.at_s : 0, first = Math.max(0, last - LONGEST_S);
    const length = Math.max(SHORTEST_S, last - first);
    let path = "", before = null;
    for (const [at, upset] of call.history) {
      if (at < first) continue;
      const x = 240 * (at - first) / length, y = 100 * (1 - upset);
      const joined = before !== null && at - before <= PAUSE_S;
      path += joined ? `L${x.toFixed(1)} ${y.toFixed(1)}` : `M${x.toFixed(1)} ${y.toFixed(1)}h.1`;
      before = at;
    }
    card.querySelector(".line").setAttribute("d", path);
    card.querySelector(".from").textContent = clock(first);
    card.querySelector(".until").textContent = clock(first + length);
    const tell = (points) => points.map(([at, upset]) => `${clock(at)}: ${Math.round(100 * upset)} %`).join(", ");
    const step = Math.max(1, Math.ceil(call.history.length / 5));
    const some = call.history.filter((_, number) => (call.history.length - 1 - number) % step === 0);
    card.querySelector(".history").setAttribute("aria-label",
      some.length ? `How upset the customer sounded. ${tell(some)}` : "Nothing heard of the customer yet");
  };
  const tellState = (call, state) => {
    if (state === "upset") return call.mood.alert_since_s === null ? "" : `since ${clock(call.mood.alert_since_s)} of the call`;
    if (state === "waiting") return "The customer has not said enough yet";
    if (state === "turning") return "The customer may be getting upset";
    if (state === "ended") return { stopped: "It was hung up", dropped: "The connection was lost", idle: "No sound came any more" }[call.ended] || "";
    return "The customer sounds at ease";
  };
  const draw = (call) => {
    call.card ??= makeCard();
    const card = call.card, part = (name) => card.querySelector(name), state = stateOf(call);
    card.className = state;
    part("h2").textContent = title(call);
    card.title = call.call;
    const about = [call.agent ? `Call ${shorten(call.call)}` : "", call.mood ? `customer last heard at ${clock(call.mood.at_s)}` : ""];
    part(".about").textContent = about.filter(Boolean).join(" · ");
    part("use").setAttribute("href", `#icon-${state}`);
    part(".word").textContent = WORDS[state];
    part(".since").textContent = tellState(call, state);
    const percent = call.mood ? Math.round(100 * call.mood.upset) : null;
    part(".number").textContent = percent === null ? "–" : `${percent} %`;
    part(".bar div").style.width = `${percent ?? 0}%`;
    part(".bar").setAttribute("aria-valuenow", String(percent ?? 0));
    part(".bar").setAttribute("aria-valuetext", percent === null ? "not known yet" : `${percent} %`);
    drawHistory(card, call);
    part(".problems").hidden = !call.problems.length;
    part(".problems").replaceChildren(...call.problems.map((words) => {
      const item = document.createElement("li");
      item.textContent = words;
      return item;
    }));
    announce(call, state);
  };
  const tellAlert = (stream, words) => {
    alerted = stream;
    find("alerts").textContent = words;
  };
  const announce = (call, state) => {
    if (call.told === state || !isShown(call)) return;
    const words = [`${title(call)}: ${WORDS[state]}`, tellState(call, state)].filter(Boolean).join(", ");
    if (state === "upset") tellAlert(call.stream, words);
    else if (call.told || state !== "waiting") find("changes").textContent = words;
    if (call.told === "upset" && alerted === call.stream) tellAlert("", "");
    call.told = state;
  };

  const arrange = () => {
    listChoices();
    const visible = [...calls.values()].filter(isShown);
    const cards = visible.map((call) => call.card);
    const present = [...find("calls").children];
    if (cards.length !== present.length || cards.some((card, number) => card !== present[number])) find("calls").replaceChildren(...cards);
    const { kind, name } = chosen();
    const alerts = visible.filter((call) => stateOf(call) === "upset").length;
    const known = connected || calls.size > 0;
    find("empty").hidden = !known || cards.length > 0 || !find("entrance").hidden;
    find("empty").querySelector("h2").textContent = kind === "agent" ? `No call of ${name} in progress` : "No call in progress";
    body.classList.toggle("one", Boolean(kind) && cards.length === 1);
    body.classList.toggle("alarm", Boolean(kind) && alerts > 0);
    document.title = alerts ? `⚠ Upset${alerts > 1 ? ` (${alerts})` : ""} | Live calls` : "Live calls";
  };
  const take = (call) => {
    const known = { mood: null, history: [], problems: [], ...call };
    if (known.agent) agents.add(known.agent);
    calls.set(known.stream, known);
    draw(known);
  };

  const hear = {
    calls: (message) => {
      const told = new Map([...calls.values()].map((call) => [call.stream, call.told]));
      calls.clear();
      for (const call of message.calls) take({ ...call, told: told.get(call.stream) });
      if (!calls.has(alerted)) tellAlert("", "");
      find("banner").textContent = message.banner;
    },
    "call started": take,
    mood: (message) => {
      const call = calls.get(message.stream);
      if (!call) return;
      call.mood = message;
      call.history.push([message.at_s, message.upset]);
      while (call.history[0][0] < message.at_s - LONGEST_S) call.history.shift();
      draw(call);
    },
    problem: (message) => {
      const call = calls.get(message.stream);
      if (!call) return;
      call.problems.push(message.words);
      draw(call);
    },
    "problem over": (message) => {
      const call = calls.get(message.stream);
      if (!call) return;
      call.problems = call.problems.filter((words) => words !== message.words);
      draw(call);
    },
    "call ended": (message) => {
      const call = calls.get(message.stream);
      if (!call) return;
      call.ended = message.reason;
      draw(call);
      setTimeout(() => {
        if (calls.get(message.stream) !== call) return;
        calls.delete(message.stream);
        arrange();
      }, ENDED_MS);
    },
    "still here": () => {},
  };

  // the connection, which is made anew as often as it is lost
  const show = (state, words) => {
    body.classList.toggle("connected", state === "connected");
    body.classList.toggle("lost", state === "lost");
    connected = state === "connected";
    find("connection").textContent = words;
  };
  const expectNews = () => {
    clearTimeout(silence);
    silence = setTimeout(() => { lose(socket, {}); }, SILENT_MS);
  };
  const ask = (words) => {
    sessionStorage.removeItem("live-token");
    show("", "Not connected");
    find("refused").textContent = words;
    find("entrance").hidden = false;
    calls.clear();
    arrange();
    find("token").focus();
  };
  const lose = (which, event) => {
    if (which !== socket || !socket) return;
    socket = null;
    which.close();
    clearTimeout(silence);
    if (needsToken && event.code === 1008) { ask("This token was not accepted."); return; }
    wait = Math.min(LONGEST_WAIT_MS, wait ? 2 * wait : 500);
    show("lost", calls.size ? "Connection lost – what you see is old. Trying again …" : "Connection lost. Trying again …");
    arrange();
    retry = setTimeout(connect, wait);
  };
  const connect = () => {
    clearTimeout(retry);
    const address = new URL("live/watch", location.href.replace(/\/live\/?([?#].*)?$/, "/"));
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const mine = new WebSocket(address);
    socket = mine;
    expectNews();
    mine.onopen = () => { if (needsToken) mine.send(JSON.stringify({ token: sessionStorage.getItem("live-token") })); };
    mine.onmessage = (event) => {
      if (mine !== socket) return;
      const message = JSON.parse(event.data);
      if (!connected) { wait = 0; show("connected", "Connected"); }
      expectNews();
      if (Object.hasOwn(hear, message.event)) hear[message.event](message);
      arrange();
    };
    mine.onclose = (event) => lose(mine, event);
  };
  window.addEventListener("online", () => { if (!socket && find("entrance").hidden) connect(); });

  find("entrance").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("live-token", find("token").value);
    find("token").value = "";
    find("entrance").hidden = true;
    connect();
  });
  shown.addEventListener("change", () => {
    const { kind, name } = chosen();
    const address = new URL(location.href);
    address.searchParams.delete("agent");
    if (kind === "agent") address.searchParams.set("agent", name);
    history.replaceState(null, "", address);
    arrange();
  });

  const agent = new URL(location.href).searchParams.get("agent");
  if (agent) {
    agents.add(agent);
    shown.append(new Option(agent, `agent:${agent}`, false, true));
  }
  if (needsToken && !sessionStorage.getItem("live-token")) ask("");
  else connect();
})();
