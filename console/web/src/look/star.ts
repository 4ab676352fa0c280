/** The mark: the fourteen-pointed star at the centre of an Đông Sơn drum, as SVG path data. */

/** Path of a star with `points` rays around (`centre`, `centre`): straight flanks, a valley between two rays. */
export function starPath(points: number, centre: number, outer: number, inner: number): string {
  const corners = Array.from({ length: points * 2 }, (_, index) => {
    const radius = index % 2 === 0 ? outer : inner;
    const angle = (Math.PI * index) / points - Math.PI / 2;
    return `${(centre + radius * Math.cos(angle)).toFixed(2)} ${(centre + radius * Math.sin(angle)).toFixed(2)}`;
  });
  return `M${corners.join('L')}Z`;
}

/** The mark in a 24 by 24 box. */
export const STAR = starPath(14, 12, 11.4, 5.6);
