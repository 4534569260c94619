/// The modules that come with Python, of versions 2.7 to 3.14: what a malicious pickle can count on wherever it is
/// loaded.
extension PickleVerdict {
  static let standardLibrary: Set<String> = Set(
    """
    BaseHTTPServer CGIHTTPServer ConfigParser Cookie Dialog DocXMLRPCServer FileDialog HTMLParser Queue
    ScrolledText SimpleDialog SimpleHTTPServer SimpleXMLRPCServer SocketServer StringIO Tix Tkconstants Tkdnd
    Tkinter UserDict UserList UserString __builtin__ __future__ _abc _abcoll _aix_support _ast _asyncio _bisect
    _blake2 _bootsubprocess _bz2 _codecs _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw
    _collections _collections_abc _colorize _compat_pickle _compression _contextvars _crypt _csv _ctypes _curses
    _curses_panel _datetime _dbm _decimal _elementtree _frozen_importlib _frozen_importlib_external _functools
    _gdbm _hashlib _heapq _imp _interpreters _io _json _locale _lsprof _lzma _markupbase _md5 _msi _multibytecodec
    _multiprocessing _opcode _operator _osx_support _overlapped _pickle _posixshmem _posixsubprocess _py_abc
    _pydecimal _pyio _pyrepl _queue _random _scproxy _sha1 _sha256 _sha3 _sha512 _signal _sitebuiltins _socket
    _sqlite3 _sre _ssl _stat _statistics _string _strptime _struct _symtable _thread _threading_local _tkinter
    _tokenize _tracemalloc _typing _uuid _warnings _weakref _weakrefset _winapi _winreg _zoneinfo abc aifc
    annotationlib antigravity anydbm argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb
    binascii bisect builtins bz2 cPickle cProfile cStringIO calendar cgi cgitb chunk cmath cmd code codecs codeop
    collections colorsys commands compileall compiler compression concurrent configparser contextlib contextvars
    cookielib copy copy_reg copyreg crypt csv ctypes curses dataclasses datetime dbhash dbm decimal difflib dis
    distutils doctest dumbdbm dummy_thread email encodings ensurepip enum errno exceptions faulthandler fcntl
    filecmp fileinput fnmatch fractions ftplib functools future_builtins gc gdbm genericpath getopt getpass
    gettext glob graphlib grp gzip hashlib heapq hmac hotshot html htmlentitydefs http httplib idlelib imaplib
    imghdr imp importlib inspect io ipaddress itertools json keyword lib2to3 linecache locale logging lzma mailbox
    mailcap markupbase marshal math mimetools mimetypes mmap modulefinder msilib msvcrt multiprocessing mutex
    netrc nis nntplib nt ntpath nturl2path numbers opcode operator optparse os os2emxpath ossaudiodev pathlib pdb
    pickle pickletools pipes pkgutil platform plistlib popen2 poplib posix posixpath pprint profile pstats pty pwd
    py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re readline repr reprlib resource rfc822
    rlcompleter robotparser runpy sched secrets select selectors sets sgmllib shelve shlex shutil signal site
    smtpd smtplib sndhdr socket socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl stat statistics
    string stringprep struct subprocess sunau symtable sys sysconfig syslog tabnanny tarfile telnetlib tempfile
    termios test textwrap this thread threading time timeit tkColorChooser tkCommonDialog tkFileDialog tkFont
    tkMessageBox tkSimpleDialog tkinter token tokenize tomllib trace traceback tracemalloc ttk tty turtle
    turtledemo types typing unicodedata unittest urllib urllib2 urlparse user uu uuid venv warnings wave weakref
    webbrowser whichdb winreg winsound wsgiref xdrlib xml xmlrpc xmlrpclib zipapp zipfile zipimport zlib zoneinfo
    """.split { $0 == " " || $0 == "\n" }.map(String.init))

  /// Those of them that are packages, so that their submodules are Python's as well.
  static let standardPackages: Set<String> = Set(
    """
    _pyrepl asyncio collections compiler compression concurrent ctypes curses dbm distutils email encodings ensurepip
    hotshot html http idlelib importlib json lib2to3 logging msilib multiprocessing os pathlib pydoc_data re sqlite3
    string sysconfig tkinter tomllib turtledemo unittest urllib venv wsgiref xml xmlrpc zipfile zoneinfo
    """.split { $0 == " " || $0 == "\n" }.map(String.init))
}
