// What the pages do once they are there. All text from events is set as text, never as markup.

const $ = (id) => document.getElementById(id);
const words = $("words") ? JSON.parse($("words").textContent) : null;
const language = document.documentElement.lang;
const region = navigator.languages.find((one) => one.startsWith(language)) ?? language;

// --- instants in the reader's own time -----------------------------------------------------------------------------

const day = new Intl.DateTimeFormat(region, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clock = new Intl.DateTimeFormat(region, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

function tell(time) {
  const at = new Date(time.dateTime);
  const recent = Math.abs(Date.now() - at) < 12 * 3600_000;
  time.textContent = recent && time.closest("#happening") ? clock.format(at) : day.format(at);
  time.title = at.toISOString();
}

document.querySelectorAll("time").forEach(tell);

// --- keyboard: / searches -------------------------------------------------------------------------------------------

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, textarea") && $("q")) {
    event.preventDefault();
    $("q").focus();
  }
});

// --- a printed link: the token is in the fragment, which no server and no log sees ---------------------------------

const printed = new URLSearchParams(location.hash.slice(1)).get("token");
if (printed) {
  history.replaceState(null, "", location.pathname);
  if ($("sign-in")) {
    $("token").value = printed;
    $("sign-in").submit();
  }
}

// --- the live stream ------------------------------------------------------------------------------------------------

const SHOWN = 12;
const COUNTED_EVERY = 2_000;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function icon(channel) {
  const known = words.channels[channel] ?? { group: "", icon: channel ? "other" : "time" };
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", `channel ${known.group}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#${known.icon}`);
  svg.append(use);
  return svg;
}

function line(change) {
  const said = change.data;
  const last = said.added?.at(-1) ?? {};
  const cause = last.cause ?? {};
  const journey = words.journeys[change.journey] ?? { label: change.journey, stages: {}, rules: {} };
  const what = element("span", "what");
  what.append(element("b", "", `→ ${journey.stages[said.stage_now] ?? said.stage_now ?? ""}`));
  if (said.retracted?.length) what.append(" ", Object.assign(element("span", "", "↺"), { title: words.text.corrected }));
  const reason = journey.rules[last.rule] ?? last.rule ?? "";
  const why = cause.type ? (words.types[cause.type] ?? cause.type) : words.text.time_passed;
  const time = Object.assign(element("time"), { dateTime: change.written_at });
  const link = Object.assign(element("a"), { href: `/customers/${encodeURIComponent(said.customer)}` });
  link.append(icon(cause.channel), what, element("span", "why soft", `${journey.label} · ${reason} · ${why}`), time);
  const item = element("li", "new");
  item.append(link);
  return item;
}

function show(change) {
  if (!change.data.customer) return; // a version that came into force is about nobody
  $("quiet").hidden = true;
  const list = $("happening");
  list.prepend(line(change));
  tell(list.querySelector("time"));
  while (list.children.length > SHOWN) list.lastElementChild.remove();
}

const stale = new Set();
let counting = false;

async function count() {
  counting = true;
  while (stale.size) {
    const [journey] = stale;
    stale.delete(journey);
    const answer = await fetch(`/v1/journeys/${encodeURIComponent(journey)}/counts`);
    if (answer.ok) draw(await answer.json());
  }
  setTimeout(() => { counting = false; if (stale.size) count(); }, COUNTED_EVERY);
}

function draw(counts) {
  const card = document.querySelector(`[data-journey="${CSS.escape(counts.journey)}"]`);
  const most = Math.max(1, ...counts.stages.map((one) => one.customers));
  for (const one of counts.stages) {
    const row = card.querySelector(`[data-stage="${CSS.escape(one.stage.name)}"]`);
    row.querySelector("rect").setAttribute("width", (100 * one.customers) / most);
    row.querySelector(".number").textContent = one.customers;
  }
  card.querySelector("[data-total]").textContent = counts.stages.reduce((sum, one) => sum + one.customers, 0);
  const time = $("as-of").querySelector("time");
  time.dateTime = counts.as_of;
  tell(time);
}

function listen() {
  const live = $("live");
  const say = (on) => {
    live.hidden = false;
    live.classList.toggle("on", on);
    live.textContent = on ? live.dataset.live : live.dataset.notLive;
  };
  const stream = new EventSource("/v1/stream");
  stream.addEventListener("open", () => say(true));
  stream.addEventListener("error", () => say(false));
  stream.addEventListener("reset", () => location.reload());
  stream.addEventListener("change", (event) => {
    const change = JSON.parse(event.data);
    show(change);
    stale.add(change.journey);
    if (!counting) count();
  });
}

if (words) listen();
