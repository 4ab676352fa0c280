/** A titled surface with hairlines. */
import type { ReactNode } from 'react';

export function Panel(props: { title: ReactNode; extra?: ReactNode; flush?: boolean; className?: string; children: ReactNode }) {
  return (
    <section className={`panel ${props.className ?? ''}`}>
      <header><h2 className="grow cut">{props.title}</h2>{props.extra}</header>
      <div className={props.flush === true ? 'flush' : 'body'}>{props.children}</div>
    </section>
  );
}
