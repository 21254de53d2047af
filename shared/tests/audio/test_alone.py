"""A file that passes for a song never makes the reader open another file or the network."""

import socket
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mss_shared import audio
from mss_shared.audio.containers import list_streams
from mss_shared.audio.tags import read_tags

HLS = (
    "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:2.0,\n{}\n#EXT-X-ENDLIST\n"
)
CONCAT = "ffconcat version 1.0\nfile {}\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="audio/mp4"><Representation '
    'id="a" bandwidth="64000"><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>'
)
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {} RTP/AVP 0\n"


@pytest.mark.parametrize("suffix", [".wav", ".m4a", ".ts", ".m3u8", ".ffconcat"])
@pytest.mark.parametrize("form", [HLS, CONCAT, DASH], ids=["hls", "concat", "dash"])
@pytest.mark.parametrize("absolute", [False, True])
def test_a_playlist_does_not_open_what_it_names(
    form: str, suffix: str, absolute: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write(tmp_path / "secret.wav", np.ones((4000, 2)) / 4, 8000)
    list_file = tmp_path / f"song{suffix}"
    list_file.write_text(form.format(tmp_path / "secret.wav" if absolute else "secret.wav"))
    with pytest.raises(ValueError, match="song"):
        audio.read(list_file)
    with pytest.raises(ValueError, match="song"):
        list_streams(list_file)
    assert not any(read_tags(list_file).texts().values())


@pytest.mark.parametrize("form", [HLS, DASH, CONCAT], ids=["hls", "dash", "concat"])
def test_a_playlist_asks_no_server(form: str, tmp_path: Path) -> None:
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)

        def answer() -> None:
            try:
                connection, _ = server.accept()
            except TimeoutError:
                return
            asked.append(connection)
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        song = tmp_path / "song.wav"
        song.write_text(form.format(f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"))
        with pytest.raises(ValueError, match="song"):
            audio.read(song)
        thread.join()
    assert not asked


def test_a_session_description_waits_for_no_network(tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    song.write_text(SDP.format(5004))
    with pytest.raises(ValueError, match="is not a readable sound file"):
        audio.read(song)  # it waited for packets: "can't be decoded (Connection timed out)"
