/** Packets of sensors: asked for by one person, approved by another, taken as a file. */
import { useQuery } from '@tanstack/react-query';

import { address, poll, post } from './http';
import type { PacketOrder } from './types';

const OPEN: readonly string[] = ['asked', 'approved', 'sent'];

/** Whether something may still become of an order. */
export const isOpen = (order: PacketOrder): boolean => OPEN.includes(order.state);

/** How many orders of one incident are read. */
const MOST = 500;
const AGAIN_MS = 15_000;

/** The orders of an incident, newest first; read again while one of them is open. */
export function usePacketOrders(incident: string) {
  return useQuery({
    queryKey: ['incident', incident, 'packets'],
    queryFn: async ({ signal }) => (await poll<{ orders: PacketOrder[] }>('/packets', { incident, limit: MOST }, signal)).orders,
    refetchInterval: (query) => (query.state.data?.some(isOpen) === true ? AGAIN_MS : false),
  });
}

export interface NewPackets {
  incident: string;
  sensor: string;
  reason: string;
  since: number;
  until: number;
  community_id: string | null;
  filter: string | null;
  max_bytes: number;
}

export const ask = (wanted: NewPackets): Promise<PacketOrder> => post('/packets', wanted);

export const approve = (id: string): Promise<PacketOrder> => post(`/packets/${encodeURIComponent(id)}/approve`);

export const decline = (id: string, reason: string): Promise<PacketOrder> => post(`/packets/${encodeURIComponent(id)}/decline`, { reason });

/** Where the browser gets the file. */
export const fileAddress = (id: string): string => address(`/packets/${encodeURIComponent(id)}/pcap`);
