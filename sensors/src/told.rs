//! What an engine hands out: records that are printed, or made events where somebody asks for their fields.
//!
//! Parsers make [`Event`]s; what all events of a flow say, and the record of the flow itself, is added only when the event
//! is made or printed. Both ways go through the same [`Line`], so they cannot differ.

use std::net::IpAddr;

use dongson_event::{Event, Known, Line, Plain};

use crate::flow::{Conn, Scene};

/// Records in their order, on the way from flows to whoever takes them.
#[derive(Default)]
pub(crate) struct Outbox {
    /// What parsers made.
    pub(crate) events: Vec<Event>,
    groups: Vec<Group>,
}

/// Events of one flow behind those of the group before, and the record of the flow where it is over.
struct Group {
    until: usize,
    scene: Scene,
    conn: Option<Conn>,
}

impl Outbox {
    /// Says that the events behind the last group belong to `scene`, and adds the record of the flow that is over.
    pub(crate) fn close(&mut self, scene: Scene, conn: Option<Conn>) {
        self.groups.push(Group { until: self.events.len(), scene, conn });
    }

    /// Takes everything out, in its order.
    pub(crate) fn drain(&mut self, give: &mut dyn FnMut(Told<'_>)) {
        let mut events = self.events.drain(..);
        let mut taken = 0;
        for Group { until, scene, conn } in self.groups.drain(..) {
            for event in events.by_ref().take(until - taken) {
                give(Told { scene: Some(&scene), own: Own::Event(event), observer: None });
            }
            taken = until;
            if let Some(conn) = &conn {
                give(Told { scene: Some(&scene), own: Own::Conn(conn), observer: None });
            }
        }
        for event in events {
            give(Told { scene: None, own: Own::Event(event), observer: None });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.groups.is_empty()
    }
}

/// One record.
pub struct Told<'t> {
    scene: Option<&'t Scene>,
    own: Own<'t>,
    /// Name of the monitored point.
    observer: Option<&'t str>,
}

enum Own<'t> {
    Event(Event),
    Conn(&'t Conn),
}

impl<'t> Told<'t> {
    /// The same, seen at the point of this name.
    pub(crate) fn seen_by<'n>(self, observer: Option<&'n str>) -> Told<'n>
    where
        't: 'n,
    {
        Told { observer, ..self }
    }

    /// What a parser made, without what its flow says; of the record of a flow its features, if any.
    pub(crate) fn parsed(&self) -> Option<&Event> {
        match &self.own {
            Own::Event(event) => Some(event),
            Own::Conn(conn) => conn.features.as_ref(),
        }
    }

    /// Source and destination of its flow, when it is of one.
    pub(crate) fn hosts(&self) -> Option<(IpAddr, IpAddr)> {
        self.scene.map(|scene| (scene.tuple.source.address, scene.tuple.destination.address))
    }

    /// The event.
    pub fn event(self) -> Event {
        let mut added = Event::new();
        self.with_line(None, &mut |line| added = line.event());
        match self.own {
            Own::Event(event) if added.is_empty() => event,
            Own::Event(event) => {
                let mut whole = added;
                whole.fill(event);
                whole
            }
            Own::Conn(conn) => {
                let mut whole = added;
                if let Some(features) = &conn.features {
                    whole.fill(features.clone());
                }
                whole
            }
        }
    }

    /// Appends the JSON text of the event with this `event.id` to `out`.
    pub fn print(&self, id: &str, out: &mut String) {
        self.with_line(Some(id), &mut |line| line.print(self.parsed(), out));
    }

    /// What is to be added to what the parser made, sorted.
    fn with_line(&self, id: Option<&str>, give: &mut dyn FnMut(&Line<'_>)) {
        const ID: Known = Known::of("event.id");
        const OBSERVER: Known = Known::of("observer.name");
        let words = self.scene.map(Scene::words);
        let flags = match &self.own {
            Own::Conn(conn) => conn.flags(),
            Own::Event(_) => Default::default(),
        };
        let mut line = Line::default();
        if let Some((scene, words)) = self.scene.zip(words.as_ref()) {
            scene.describe(words, &mut line);
        }
        if let Own::Conn(conn) = &self.own {
            conn.describe(&flags, &mut line);
        }
        line.set_some(ID, id.map(Plain::Text));
        line.set_some(OBSERVER, self.observer.map(Plain::Text));
        line.sort();
        give(&line);
    }
}
