"""How are files read, replaced and told apart wherever Spark keeps them?

Spark's own file systems are asked (local disks, HDFS, object stores), through the driver's Java.
"""

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["SparkFolder"]


class SparkFolder:
    """A folder that Spark can reach.

    Parameters
    ----------
    session : pyspark.sql.SparkSession
        Whose file systems are used.
    address : str
        Such as ``hdfs://…/scores``, ``s3a://…/scores`` or ``file:///…/scores``.
    """

    def __init__(self, session: "SparkSession", address: str) -> None:
        self._session = session
        self.address = address.rstrip("/")

    def _path(self, name: str = "") -> Any:  # noqa: ANN401 - a Java object
        address = f"{self.address}/{name}" if name else self.address
        return self._java.org.apache.hadoop.fs.Path(address)

    @property
    def _java(self) -> Any:  # noqa: ANN401 - py4j
        return self._session._jvm

    def _system(self, path: Any) -> Any:  # noqa: ANN401 - Java objects
        return path.getFileSystem(self._session._jsc.hadoopConfiguration())

    def read(self, name: str) -> str | None:
        """Return the text of a small file.

        Parameters
        ----------
        name : str
            In the folder.

        Returns
        -------
        str or None
            None where there is no such file.
        """
        path = self._path(name)
        system = self._system(path)
        if not system.exists(path):
            return None
        stream = system.open(path)
        try:
            content = bytes(self._java.org.apache.commons.io.IOUtils.toByteArray(stream))
        finally:
            stream.close()
        return content.decode("utf-8")

    def write(self, name: str, text: str) -> None:
        """Write a small file, in place of one of that name.

        Parameters
        ----------
        name : str
            In the folder.
        text : str
            Its content.
        """
        path = self._path(name)
        stream = self._system(path).create(path, True)  # noqa: FBT003 - Java's "overwrite"
        try:
            stream.write(bytearray(text.encode("utf-8")))
        finally:
            stream.close()

    def delete(self, name: str = "") -> None:
        """Remove a file or a folder of that name, or the folder itself; nothing where it is not.

        Parameters
        ----------
        name : str, default ""
            In the folder.
        """
        path = self._path(name)
        self._system(path).delete(path, True)  # noqa: FBT003 - Java's "recursive"

    def move_to(self, target: "SparkFolder") -> bool:
        """Give the folder another name.

        Parameters
        ----------
        target : SparkFolder
            Not there yet; of the same file system.

        Returns
        -------
        bool
            Whether it was possible.
        """
        path, there = self._path(), target._path()
        system = self._system(path)
        system.mkdirs(there.getParent())
        return bool(system.rename(path, there))

    def fingerprint(self) -> str:
        """Return a digest of the names, sizes and times of the files that the address names.

        Returns
        -------
        str
            64 hexadecimal digits; another one once a file is written again. A pattern with ``*``
            names several.
        """
        path = self._path()
        system = self._system(path)
        found = []
        for status in system.globStatus(path) or ():
            files = system.listFiles(status.getPath(), True)  # noqa: FBT003 - Java's "recursive"
            while files.hasNext():
                file = files.next()
                name = file.getPath().toString()
                found.append(f"{name}|{file.getLen()}|{file.getModificationTime()}")
        return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()
