"""Other people's software, to see results where readers see them: Orthanc as PACS, OHIF in nginx.

Everything runs in the demo's folder and on free ports, by whoever calls; nothing that is installed
on the machine is changed. docs/viewer.md says how the programs are installed.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

import urllib3

from config.errors import MidlineError, UsageError
from node.demo.site import free_port
from node.peers import Peer

RECIPE = "docs/viewer.md says how they are installed"
AE_TITLE, HOST = "ORTHANC", "127.0.0.1"
SERVERS = ("/usr/local/sbin", "/usr/sbin")
"""Where systems keep servers; a person's PATH often lacks them."""
PLUGIN = Path("share", "orthanc", "plugins", "libOrthancDicomWeb.so")
"""DICOMweb for Orthanc, below the folder that Orthanc was installed in."""
START_SECONDS, STOP_SECONDS, LOOK_SECONDS = 60.0, 20.0, 0.1

NGINX = Template("""\
daemon off;
master_process off;
pid "$folder/nginx.pid";
error_log stderr warn;
events {}
http {
  access_log off;
  types {
    text/html html;  text/css css;  text/javascript js mjs;  application/json json map;
    application/wasm wasm;  image/svg+xml svg;  image/png png;  image/x-icon ico;
    font/woff2 woff2;  font/ttf ttf;
  }
  client_body_temp_path "$folder/uploads";
  proxy_temp_path "$folder/answers";
  fastcgi_temp_path "$folder/fastcgi";
  uwsgi_temp_path "$folder/uwsgi";
  scgi_temp_path "$folder/scgi";
  server {
    listen $host:$port;
    root "$ohif";
    # without these two, browsers give OHIF no memory to share among its threads
    add_header Cross-Origin-Opener-Policy same-origin;
    add_header Cross-Origin-Embedder-Policy require-corp;
    location = /app-config.js { alias "$folder/app-config.js"; }
    location /dicom-web/ {
      proxy_pass http://$host:$orthanc_port;
      proxy_set_header Host $$http_host;
      proxy_buffering off;
    }
    location / { try_files $$uri /index.html; }
  }
}
""")
"""OHIF's files and Orthanc's DICOMweb under one address, so that no browser asks who allowed it."""

OHIF = """\
window.config = {
  routerBasename: null,
  extensions: [],
  modes: [],
  showStudyList: true,
  investigationalUseDialog: { option: 'never' },
  defaultDataSourceName: 'orthanc',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName: 'orthanc',
    configuration: {
      friendlyName: 'Orthanc of the Midline demo: synthetic heads, not for diagnosis',
      name: 'orthanc',
      qidoRoot: '/dicom-web',
      wadoRoot: '/dicom-web',
      wadoUriRoot: '/dicom-web',
      imageRendering: 'wadors',
      thumbnailRendering: 'wadors',
      enableStudyLazyLoad: true,
      supportsWildcard: true,
      supportsFuzzyMatching: false,
      qidoSupportsIncludeField: false,
      omitQuotationForMultipartRequest: true,
      bulkDataURI: { enabled: true },
    },
  }],
};
"""


@dataclass(frozen=True)
class Tools:
    """Where the programs are.

    Attributes
    ----------
    orthanc, nginx
        Servers.
    dicomweb
        Orthanc's plugin.
    ohif
        Folder of OHIF's ``index.html``.
    """

    orthanc: Path
    nginx: Path
    dicomweb: Path
    ohif: Path


@dataclass(frozen=True)
class Viewer:
    """A PACS with a viewer, both running.

    Attributes
    ----------
    pacs
        Where the PACS takes images and results.
    url
        Where a browser finds the list of studies.
    log
        What the PACS says.
    """

    pacs: Peer
    url: str
    log: Path

    def address(self, study_instance_uid: str) -> str:
        """Where a browser finds a study."""
        return f"{self.url}viewer?StudyInstanceUIDs={study_instance_uid}"

    def has_report(self, study_instance_uid: str) -> bool:
        """Whether the PACS shows a structured report of a study."""
        series = f"{self.url}dicom-web/studies/{study_instance_uid}/series?Modality=SR"
        answer = urllib3.request("GET", series, timeout=10.0, retries=False)
        return answer.status == 200 and bool(json.loads(answer.data))


def find_tools(ohif: Path | None, dicomweb: Path | None) -> Tools:
    """Find the programs on this machine.

    Parameters
    ----------
    ohif, dicomweb
        As a person names them; the plugin is looked for beside Orthanc if they name none.

    Raises
    ------
    UsageError
        If one is missing.
    """
    orthanc, nginx = _server("Orthanc"), _server("nginx")
    if dicomweb is None and orthanc is not None:
        dicomweb = orthanc.resolve().parents[1] / PLUGIN
    missing = [name for name, path in (("Orthanc", orthanc), ("nginx", nginx)) if path is None]
    if dicomweb is None or not dicomweb.is_file():
        missing.append("Orthanc's DICOMweb plugin (--dicomweb FILE)")
    if ohif is None or not (ohif / "index.html").is_file():
        missing.append("OHIF (--ohif FOLDER, the one with its index.html)")
    if orthanc is None or nginx is None or dicomweb is None or ohif is None or missing:
        raise UsageError(f"the viewer needs what was not found: {', '.join(missing)}; {RECIPE}")
    return Tools(orthanc, nginx, dicomweb.resolve(), ohif.resolve())


def _server(name: str) -> Path | None:
    path = os.pathsep.join((os.environ.get("PATH", ""), *SERVERS))
    found = shutil.which(name, path=path)
    return None if found is None else Path(found)


@contextmanager
def running_viewer(folder: Path, tools: Tools, *, node: Peer) -> Iterator[Viewer]:
    """Run Orthanc and nginx on free ports; end them afterwards.

    Parameters
    ----------
    folder
        Gets settings, logs and what the PACS keeps; is made.
    node
        Who may ask the PACS to commit to results.

    Raises
    ------
    MidlineError
        If one of them does not run.
    """
    folder = folder.resolve()
    folder.mkdir()
    pacs, web_port, http_port = Peer(AE_TITLE, HOST, free_port()), free_port(), free_port()
    settings, nginx = folder / "orthanc.json", folder / "nginx.conf"
    described = _orthanc_settings(folder, tools, pacs=pacs, http_port=http_port, node=node)
    settings.write_text(json.dumps(described, indent=2), encoding="utf-8")
    (folder / "app-config.js").write_text(OHIF, encoding="utf-8")
    filled = NGINX.substitute(
        folder=folder, host=HOST, port=web_port, ohif=tools.ohif, orthanc_port=http_port
    )
    nginx.write_text(filled, encoding="utf-8")
    viewer = Viewer(pacs, f"http://{HOST}:{web_port}/", folder / "orthanc.log")
    front = ("-e", "stderr", "-p", folder, "-c", nginx)
    with (
        _running(viewer.log, tools.orthanc, settings) as check_orthanc,
        _running(folder / "nginx.log", tools.nginx, *front) as check_nginx,
    ):
        _wait_until_ready(viewer, check=lambda: (check_orthanc(), check_nginx()))
        yield viewer


def _orthanc_settings(
    folder: Path, tools: Tools, *, pacs: Peer, http_port: int, node: Peer
) -> Mapping[str, object]:
    return {
        "Name": "Midline demo",
        "StorageDirectory": str(folder / "images"),
        "IndexDirectory": str(folder / "images"),
        "Plugins": [str(tools.dicomweb)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": pacs.ae_title,
        "DicomPort": pacs.port,
        "DicomCheckCalledAet": True,
        "DicomModalities": {"midline": [node.ae_title, node.host, node.port]},
    }


@contextmanager
def _running(log: Path, program: Path, *words: object) -> Iterator[Callable[[], None]]:
    """Run a server; give what complains if it ended."""
    command = [str(program), *map(str, words)]
    # Debian's DCMTK waits 40 ms with each answer unless it is told not to
    environment = {**os.environ, "TCP_NODELAY": "1"}
    with (
        log.open("wb") as stream,
        subprocess.Popen(command, stdout=stream, stderr=stream, env=environment) as process,
    ):

        def check() -> None:
            if process.poll() is not None:
                raise MidlineError(
                    f"{program.name} ended with code {process.returncode}; {log} says why"
                )

        try:
            yield check
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_ready(viewer: Viewer, *, check: Callable[[], object]) -> None:
    until = time.monotonic() + START_SECONDS
    while not _answers(viewer):
        check()
        if time.monotonic() > until:
            raise MidlineError(
                f"Orthanc did not answer within {START_SECONDS:.0f} s; {viewer.log} says why"
            )
        time.sleep(LOOK_SECONDS)


def _answers(viewer: Viewer) -> bool:
    studies = f"{viewer.url}dicom-web/studies?limit=1"
    try:
        return urllib3.request("GET", studies, timeout=5.0, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False
