/**
 * The hash of an event at its place, in two halves. Every event of a log passes through it on the hub and on each copy,
 * so it makes no object: the halves stand in the hasher until the next. Mixing as in cyrb53 and murmur3's finish; it is to
 * find damage, not to withstand somebody who forges.
 */
export class PlaceHash {
  high = 0;
  low = 0;
  #a = 0;
  #b = 0;

  /** @param place log index, or sequence of an outbox: above 2^32 it counts whole */
  of(id: string, place: number): this {
    return this.take(id, 0, id.length).at(place);
  }

  /** Takes the id that stands in a text; `at` may follow for several places. */
  take(text: string, from: number, to: number): this {
    let a = 0x9e3779b9;
    let b = 0x41c6ce57;
    for (let i = from; i < to; i++) {
      const code = text.charCodeAt(i);
      a = Math.imul(a ^ code, 0x9e3779b1);
      b = Math.imul(b ^ code, 0x5f356495);
    }
    this.#a = a;
    this.#b = b;
    return this;
  }

  at(place: number): this {
    const above = Math.floor(place / 0x1_0000_0000);
    const a = Math.imul(this.#a ^ place, 0x85ebca6b) ^ above;
    const b = Math.imul(this.#b ^ (place + above), 0xc2b2ae35);
    const high = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35);
    const low = Math.imul(b ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2ae35);
    this.high = (high ^ (high >>> 16)) | 0;
    this.low = (low ^ (low >>> 15)) | 0;
    return this;
  }
}
