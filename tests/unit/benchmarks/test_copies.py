from io import BytesIO
from pathlib import Path

from pydicom import dcmread

from benchmarks import copies

template = copies.tiny_head()


def test_copies_differ_in_all_uids_and_in_nothing_else(tmp_path: Path) -> None:
    token, other = copies.new_token(), copies.new_token()
    first = [dcmread(path) for path in template.write(tmp_path / "a", token)]
    second = [dcmread(path) for path in template.write(tmp_path / "b", other)]
    assert first[0].StudyInstanceUID == copies.study_uid(token)
    assert len({image.SOPInstanceUID for image in (*first, *second)}) == 2 * len(first)
    for image, twin in zip(first, second, strict=True):
        assert image.SeriesInstanceUID != twin.SeriesInstanceUID
        assert image.PatientID != twin.PatientID
        assert image.SOPInstanceUID == image.file_meta.MediaStorageSOPInstanceUID
        assert image.PixelData == twin.PixelData
        assert image.ImagePositionPatient == twin.ImagePositionPatient


def test_uids_are_valid() -> None:
    image = dcmread(BytesIO(template.files[0]))
    assert image.SOPInstanceUID.is_valid
    assert image.StudyInstanceUID.is_valid


def test_files_are_dealt_out_evenly() -> None:
    files = [Path(str(number)) for number in range(10)]
    shares = copies.dealt(files, 4)
    assert sorted(map(len, shares)) == [2, 2, 3, 3]
    assert sorted(path for share in shares for path in share) == sorted(files)
