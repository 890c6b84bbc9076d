// A DICOM peer of the dcmjs family, for tests/support/dcmjs.py: node dcmjs_peer.mjs MODULES COMMAND JSON
//
// send     one association for each list of files, at the same time; prints what was answered
// receive  prints its port, keeps what it takes, and ends with its standard input

import { createRequire } from 'node:module';
import { join } from 'node:path';

const [modules, command, given] = process.argv.slice(2);
const dimse = createRequire(join(modules, 'package.json'))('dcmjs-dimse');
const options = JSON.parse(given);
const { Client, Scp, Server, Transcoding, log } = dimse;
const { CEchoRequest, CStoreRequest } = dimse.requests;
const { CEchoResponse, CStoreResponse } = dimse.responses;
const { PresentationContextResult, SopClass } = dimse.constants;

log?.setLevel?.('silent');
await Transcoding.initializeAsync();

function associate(files) {
  const { host, port, callingAeTitle, calledAeTitle } = options;
  const client = new Client();
  const said = { echo: null, stored: {}, rejected: null, error: null };
  return new Promise((resolve) => {
    const echo = new CEchoRequest();
    echo.on('response', (response) => (said.echo = response.getStatus()));
    client.addRequest(echo);
    for (const file of files) {
      const store = new CStoreRequest(file);
      store.on('response', (response) => (said.stored[file] = response.getStatus()));
      client.addRequest(store);
    }
    client.on('associationRejected', ({ result, source, reason }) => {
      said.rejected = [result, source, reason];
    });
    client.on('networkError', (error) => (said.error = error.message));
    client.on('closed', () => resolve(said));
    client.send(host, port, callingAeTitle, calledAeTitle);
  });
}

class Archive extends Scp {
  associationRequested(association) {
    if (options.reject) {
      this.sendAssociationReject(...options.reject);
      return;
    }
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      const taken = { ...options.classes, [SopClass.Verification]: options.syntaxes };
      const syntaxes = taken[context.getAbstractSyntaxUid()];
      const syntax = context.getTransferSyntaxUids().find((each) => syntaxes?.includes(each));
      if (!syntaxes) {
        context.setResult(PresentationContextResult.RejectAbstractSyntaxNotSupported);
      } else if (!syntax) {
        context.setResult(PresentationContextResult.RejectTransferSyntaxesNotSupported);
      } else {
        context.setResult(PresentationContextResult.Accept, syntax);
      }
    }
    this.sendAssociationAccept();
  }

  cEchoRequest(request, callback) {
    const response = CEchoResponse.fromRequest(request);
    response.setStatus(0);
    callback(response);
  }

  cStoreRequest(request, callback) {
    const dataset = request.getDataset();
    const status = options.statuses[dataset.getElement('Modality')]?.shift() ?? 0;
    if (status === 0) {
      dataset.toFile(join(options.folder, `${dataset.getElement('SOPInstanceUID')}.dcm`));
    }
    const response = CStoreResponse.fromRequest(request);
    response.setStatus(status);
    callback(response);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

if (command === 'send') {
  const said = await Promise.all(options.associations.map(associate));
  console.log(JSON.stringify(said));
} else {
  const server = new Server(Archive);
  server.listen(options.port);
  server.server.on('listening', () => {
    console.log(JSON.stringify({ port: server.server.address().port }));
  });
  process.stdin.on('end', () => process.exit(0)).resume();
}
