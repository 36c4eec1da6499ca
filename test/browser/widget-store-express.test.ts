import { describeWidgetStore } from './widget-store.ts';

describeWidgetStore({ server: 'express', database: 'server', offset: 0, nth: 1 });
