import type { Coordinates } from "../../shared/protocol/messages.ts";
import type { RouteNode } from "./route-node.ts";

const EARTH_RADIUS_KM = 6371;
const radians = (degrees: number): number => (degrees * Math.PI) / 180;

/** Great-circle distance, km (haversine formula). */
export function distanceKm(a: Coordinates, b: Coordinates): number {
  const half = (from: number, to: number) => Math.sin(radians(to - from) / 2) ** 2;
  const h =
    half(a.latitude, b.latitude) +
    Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude)) * half(a.longitude, b.longitude);
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(h)));
}

/**
 * The middle of a region's nodes: what "near" a region means for nodes outside of it. Summed as vectors, so that a region
 * on both sides of the date line has its middle there. null: nobody in it has coordinates.
 */
export function middleOf(nodes: Iterable<RouteNode>, region: string): Coordinates | null {
  let [x, y, z] = [0, 0, 0];
  for (const { coordinates, region: own } of nodes) {
    if (own !== region || coordinates === null) continue;
    const [lat, lon] = [radians(coordinates.latitude), radians(coordinates.longitude)];
    x += Math.cos(lat) * Math.cos(lon);
    y += Math.cos(lat) * Math.sin(lon);
    z += Math.sin(lat);
  }
  if (x === 0 && y === 0 && z === 0) return null;
  const degrees = (angle: number) => (angle * 180) / Math.PI;
  return { latitude: degrees(Math.atan2(z, Math.hypot(x, y))), longitude: degrees(Math.atan2(y, x)) };
}
