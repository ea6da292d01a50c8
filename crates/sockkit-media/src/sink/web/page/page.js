const main = document.querySelector("main");
const template = document.querySelector("template");
const link = document.getElementById("link");
const tiles = new Map();
const pace = new Pace();
// The page may be mounted at /camera, without a slash at its end.
const here = location.pathname.split("/").pop();
const base = here && `${here}/`;

function tile(name) {
  if (!tiles.has(name)) tiles.set(name, new Tile(name));
  main.className = tiles.size === 1 ? "single" : "";
  return tiles.get(name);
}

const pause = millis => new Promise(resume => setTimeout(resume, millis));

function say(text, kind) {
  link.textContent = text;
  link.className = kind;
}

// How the pictures come: the name of the way, and what ends it.
let using = null;
let end = () => {};
// Whether the page itself has ended it.
let turned = false;
// Some proxies pass no WebSocket on.
let noPullUntil = 0;

function wanted() {
  if (tiles.size > 0 && [...tiles.values()].every(tile => tile.paused)) return "nothing";
  // A tab that nobody sees may be slowed down at any time.
  const pulls = (pace.pulls || document.hidden) && now() > noPullUntil;
  return pulls ? "pull" : "stream";
}

function turn() {
  if (wanted() === using) return;
  turned = true;
  end();
}

const ways = {
  async stream() {
    const abort = new AbortController();
    end = () => abort.abort();
    const answer = await fetch(`${base}streams`, { cache: "no-store", signal: abort.signal });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    say("connected", "up");
    await readParts(answer.body.getReader(), (name, jpeg, captured) => {
      const to = tile(name);
      to.show(jpeg, captured, captured => {
        pace.streamed(to, captured, now());
        turn();
      });
    });
  },

  pull() {
    const address = new URL(`${base}pull`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    end = () => socket.close();
    let head, begun;
    socket.onopen = () => {
      say(pace.pulls ? "connected, slow link" : "connected", "up");
      socket.send("next");
    };
    socket.onmessage = async ({ data }) => {
      if (typeof data === "string") {
        begun = now();
        head = JSON.parse(data);
        return;
      }
      const [to, moved] = [tile(head.stream), now() - begun];
      await to.show(data, 1000 * head.timestamp, () => pace.pulled(to, moved, now() - begun, now()));
      if (socket.readyState === WebSocket.OPEN) socket.send("next");
      turn();
    };
    return new Promise((resolve, reject) => {
      socket.onclose = () => head ? resolve() : reject(new TypeError());
    });
  },

  nothing() {
    say("paused", "");
    return new Promise(resolve => { end = resolve; });
  },
};

async function watch() {
  for (;;) {
    using = wanted();
    turned = false;
    let trouble = "the viewer has ended";
    try {
      await ways[using]();
    } catch (error) {
      trouble = error instanceof TypeError ? "no connection" : error.message;
      // A server that does not answer either has only been away.
      if (using === "pull" && !turned && await answers()) noPullUntil = now() + 60_000;
    }
    if (turned || wanted() !== using) continue;
    say(`${trouble}, trying again`, "down");
    await pause(1000);
  }
}

async function figures() {
  const signal = AbortSignal.timeout(3000);
  return (await fetch(`${base}state`, { cache: "no-store", signal })).json();
}
const answers = () => figures().then(() => true, () => false);

async function tellFigures() {
  for (;;) {
    try {
      const state = await figures();
      state.streams.forEach((stream, at) => {
        tile(stream.name).tell(stream);
        tile(stream.name).moveTo(at);
      });
    } catch { /* watch() says so */ }
    await pause(1000);
  }
}

// A code of this page's own address, for a phone's camera.
function share() {
  const dialog = document.getElementById("share");
  dialog.querySelector("img").src = `${base}qr?text=${encodeURIComponent(location.href)}`;
  dialog.querySelector("output").textContent = location.href;
  const loopback = /^(localhost|127\..*|\[::1\])$/.test(location.hostname);
  dialog.querySelector("p").hidden = !loopback;
  dialog.showModal();
}

document.getElementById("sharing").onclick = share;
document.addEventListener("visibilitychange", turn);
tellFigures();
watch();
