// Whether the pictures are streamed, or pulled: each asked for when the one before is shown. A
// stream has no gaps; but on a link, or in a tab, that is slower than it, every picture waits in a
// queue, where a pulled one never does.

const now = () => performance.timeOrigin + performance.now();

// Tells whether pictures queue on their way, by how much older than the youngest they are. The
// camera's clock may differ from this one, so their age alone says nothing.
class Delay {
  constructor() {
    this.least = Infinity;
    this.late = 0;
  }

  note(captured, at) {
    const delay = at - captured;
    // Clocks drift apart; what was the least long ago may be out of reach.
    this.least = Math.min(delay, this.least + DRIFT * (at - (this.at ?? at)));
    this.at = at;
    this.late = delay - this.least > QUEUED_MS ? this.late + 1 : 0;
    if (this.late === 1) this.since = at;
    return this.late >= 5 && at - this.since > QUEUED_FOR_MS;
  }
}

class Pace {
  constructor() {
    this.pulls = false;
    this.since = -Infinity;
    this.hold = HOLD_MS;
  }

  // A picture of the stream was shown.
  streamed(tile, captured, at) {
    // Without a capture time it is the placeholder.
    if (captured && tile.delay.note(captured, at)) this.pull(at);
  }

  // Each time that streaming soon turns out too much, the next attempt is later.
  pull(at) {
    const again = at - this.since < RELAPSE_MS;
    this.hold = again ? Math.min(2 * this.hold, MAX_HOLD_MS) : HOLD_MS;
    this.pulls = true;
    this.since = at;
  }

  // A pulled picture took so many milliseconds on the link, and so many until it was shown.
  pulled(tile, moved, shown, at) {
    const mean = (before, value) => before === undefined ? value : before + (value - before) / 8;
    tile.moved = mean(tile.moved, moved);
    tile.took = mean(tile.took, shown);
    if (!this.pulls) return;
    if (busy() > MAX_BUSY) this.since = at;
    if (at - this.since > this.hold) this.stream(at);
  }

  stream(at) {
    this.pulls = false;
    this.since = at;
    for (const tile of tiles.values()) tile.delay = new Delay();
  }
}

// The share of its time that the link, or the slowest picture's decoder, would need for streams.
function busy() {
  const all = [...tiles.values()].filter(tile => tile.took !== undefined);
  const link = all.reduce((sum, tile) => sum + tile.rate * tile.moved / 1000, 0);
  return Math.max(link, ...all.map(tile => tile.rate * tile.took / 1000));
}

const DRIFT = 0.0002;
const QUEUED_MS = 40;
const QUEUED_FOR_MS = 1000;
const MAX_BUSY = 0.7;
const HOLD_MS = 5_000;
const MAX_HOLD_MS = 300_000;
const RELAPSE_MS = 30_000;
