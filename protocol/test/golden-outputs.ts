// Golden frames of outputs, and of the progress of calls. The rule of golden-frames.ts applies to them.

export const OUTPUTS = [
  {
    from: 'server' as const,
    name: 'entry: run.output',
    json: `{"type":"entry","session":"s1","cursor":"e1.12","time":1767225600000,"event":{"type":"run.output","run":"r1","index":5,"kind":"text","text":" 5"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3132a474696d65d30000019b76daa800a56576656e7485a474797065aa72756e2e6f7574707574a372756ea27231a5696e64657805a46b696e64a474657874a474657874a22035',
  },
  {
    from: 'server' as const,
    name: 'entry: run.output merged',
    json: `{"type":"entry","session":"s1","cursor":"e1.13","time":1767225600000,"event":{"type":"run.output","run":"r1","index":6,"kind":"reasoning","text":"hm, so","count":2}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3133a474696d65d30000019b76daa800a56576656e7486a474797065aa72756e2e6f7574707574a372756ea27231a5696e64657806a46b696e64a9726561736f6e696e67a474657874a6686d2c20736fa5636f756e7402',
  },
  {
    from: 'server' as const,
    name: 'entry: run.output of arguments',
    json: `{"type":"entry","session":"s1","cursor":"e1.40","time":1767225600000,"event":{"type":"run.output","run":"r1","index":7,"text":"{\\"path\\":","kind":"input","call":"t1","name":"read_file"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3430a474696d65d30000019b76daa800a56576656e7487a474797065aa72756e2e6f7574707574a372756ea27231a5696e64657807a474657874a87b2270617468223aa46b696e64a5696e707574a463616c6ca27431a46e616d65a9726561645f66696c65',
  },
  {
    from: 'server' as const,
    name: 'entry: run.output of data',
    json: `{"type":"entry","session":"s1","cursor":"e1.41","time":1767225600000,"event":{"type":"run.output","run":"r1","index":8,"text":"","kind":"data","name":"chart","id":"d1","data":{"bars":[1,2.5]}}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3431a474696d65d30000019b76daa800a56576656e7488a474797065aa72756e2e6f7574707574a372756ea27231a5696e64657808a474657874a0a46b696e64a464617461a46e616d65a56368617274a26964a26431a46461746181a4626172739201cb4004000000000000',
  },
  {
    from: 'server' as const,
    name: 'entry: run.output of a source',
    json: `{"type":"entry","session":"s1","cursor":"e1.42","time":1767225600000,"event":{"type":"run.output","run":"r1","index":9,"text":"","kind":"source","url":"https://example.com/a","title":"A"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3432a474696d65d30000019b76daa800a56576656e7487a474797065aa72756e2e6f7574707574a372756ea27231a5696e64657809a474657874a0a46b696e64a6736f75726365a375726cb568747470733a2f2f6578616d706c652e636f6d2f61a57469746c65a141',
  },
  {
    from: 'server' as const,
    name: 'entry: run.output of a file',
    json: `{"type":"entry","session":"s1","cursor":"e1.43","time":1767225600000,"event":{"type":"run.output","run":"r1","index":10,"text":"","kind":"file","mediaType":"image/png","file":"f1","url":"https://example.com/a.png","name":"a.png"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3433a474696d65d30000019b76daa800a56576656e7489a474797065aa72756e2e6f7574707574a372756ea27231a5696e6465780aa474657874a0a46b696e64a466696c65a96d6564696154797065a9696d6167652f706e67a466696c65a26631a375726cb968747470733a2f2f6578616d706c652e636f6d2f612e706e67a46e616d65a5612e706e67',
  },
  {
    from: 'server' as const,
    name: 'entry: tool.progress',
    json: `{"type":"entry","session":"s1","cursor":"e1.44","time":1767225600000,"event":{"type":"tool.progress","run":"r1","call":"t1","text":"reading","done":1,"total":4}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3434a474696d65d30000019b76daa800a56576656e7486a474797065ad746f6f6c2e70726f6772657373a372756ea27231a463616c6ca27431a474657874a772656164696e67a4646f6e6501a5746f74616c04',
  },
  {
    from: 'server' as const,
    name: 'entry: run.snapshot with all kinds of output',
    json: `{"type":"entry","session":"s1","cursor":"e1.45","time":1767225600000,"event":{"type":"run.snapshot","run":"r1","epoch":1,"model":"demo","message":"m1","next":11,"output":[{"type":"input","call":"t1","name":"read_file","text":"{\\"path\\":\\"a.txt\\"}","index":0,"lengths":[8,8]},{"type":"tool","call":"t1","name":"read_file"},{"type":"data","name":"chart","id":"d1","text":"","index":2,"lengths":[0,0]},{"type":"source","url":"https://example.com/a","title":"A","text":"","index":4,"lengths":[0]},{"type":"file","mediaType":"image/png","file":"f1","url":"https://example.com/a.png","name":"a.png","text":"","index":5,"lengths":[0],"unseen":true},{"type":"data","name":"chart","id":"d1","data":{"bars":[1,2.5]},"text":"","index":6,"lengths":[0]},{"type":"text","text":"ab cd","index":7,"lengths":[1,1,1,2]}]}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3435a474696d65d30000019b76daa800a56576656e7487a474797065ac72756e2e736e617073686f74a372756ea27231a565706f636801a56d6f64656ca464656d6fa76d657373616765a26d31a46e6578740ba66f75747075749786a474797065a5696e707574a463616c6ca27431a46e616d65a9726561645f66696c65a474657874b07b2270617468223a22612e747874227da5696e64657800a76c656e6774687392080883a474797065a4746f6f6ca463616c6ca27431a46e616d65a9726561645f66696c6586a474797065a464617461a46e616d65a56368617274a26964a26431a474657874a0a5696e64657802a76c656e6774687392000086a474797065a6736f75726365a375726cb568747470733a2f2f6578616d706c652e636f6d2f61a57469746c65a141a474657874a0a5696e64657804a76c656e67746873910089a474797065a466696c65a96d6564696154797065a9696d6167652f706e67a466696c65a26631a375726cb968747470733a2f2f6578616d706c652e636f6d2f612e706e67a46e616d65a5612e706e67a474657874a0a5696e64657805a76c656e677468739100a6756e7365656ec387a474797065a464617461a46e616d65a56368617274a26964a26431a46461746181a4626172739201cb4004000000000000a474657874a0a5696e64657806a76c656e67746873910084a474797065a474657874a474657874a56162206364a5696e64657807a76c656e677468739401010102',
  },
]
