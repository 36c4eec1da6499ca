import { describeWidgetStore } from './widget-store.ts';

describeWidgetStore({ server: 'express', database: 'embedded', offset: 0, nth: 1 });
