import { describeWidgetStore } from './widget-store.ts';

describeWidgetStore({ server: 'koa', database: 'server', offset: 1, nth: 2 });
