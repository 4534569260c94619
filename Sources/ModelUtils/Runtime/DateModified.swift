import ModelCore
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The day on which a file or folder was last changed, in local time and without padding, such as `2021-3-26`:
/// torch_utils' `date_modified`.
/// - Throws: `ModelError` when there is none at `path`.
public func dateModified(_ path: String) throws -> String {
  var status = stat()
  guard stat(path, &status) == 0 else { throw ModelError(.system, "\(Errno(rawValue: errno))", file: path) }
  #if canImport(Darwin)
    var seconds = status.st_mtimespec.tv_sec
  #else
    var seconds = status.st_mtim.tv_sec
  #endif
  var time = tm()
  guard localtime_r(&seconds, &time) != nil else { throw ModelError(.system, "its date is out of range", file: path) }
  return "\(Int(time.tm_year) + 1900)-\(time.tm_mon + 1)-\(time.tm_mday)"
}
