import ModelRuntime
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite struct DateModifiedTests {
  /// Noon, so that the day is the same wherever the test runs but far from Greenwich.
  @Test(arguments: [
    (1_616_760_000, "2021-3-26"), (951_825_600, "2000-2-29"), (1_702_382_400, "2023-12-12"), (43_200, "1970-1-1"),
    (-43_200, "1969-12-31"), (2_147_601_600, "2038-1-20"),
  ])
  func days(_ seconds: Int, _ expected: String) throws {
    let folder = try Folder()
    try folder.write("", to: "file")
    var time = tm()
    var stamp = time_t(seconds)
    gmtime_r(&stamp, &time)
    time.tm_isdst = -1
    let local = mktime(&time)
    var times = [timespec(tv_sec: local, tv_nsec: 0), timespec(tv_sec: local, tv_nsec: 0)]
    try #require(utimensat(AT_FDCWD, folder.file("file"), &times, 0) == 0)
    #expect(try dateModified(folder.file("file")) == expected)
  }

  @Test func folders() throws {
    let folder = try Folder()
    #expect(try dateModified(folder.path).split(separator: "-").count == 3)
  }

  @Test func missing() throws {
    let path = try Folder().file("none")
    #expect(refusal { _ = try dateModified(path) } == "\(path): No such file or directory")
  }
}
