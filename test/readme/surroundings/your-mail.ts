// An app that writes mails.
import { Pawl } from '@pawl/core';

/** To whom, under which key. */
export const sent: { address: string; key: string }[] = [];

export async function sendMail(address: string, key: string): Promise<void> {
  sent.push({ address, key });
}

export const pawl = new Pawl();

export const welcome = pawl.registerWorkflow((address: string) => sendMail(address, 'key'), {
  name: 'welcome',
});

pawl.registerQueue('mail');
