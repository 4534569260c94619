import Foundation
import ModelCore
import ModelDownloads
import Synchronization
import SystemPackage
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Against a server on the loopback. What is expected of real servers stands in the interop suite.
@Suite struct DownloadTests {
  private let folder: URL
  private let body = (0..<100_003).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3) }

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "mutils-test-\(UUID().uuidString)/hub/checkpoints")
  }

  private var path: FilePath { FilePath(folder.path) }
  private var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder.path))?.sorted() ?? [] }
  private func bytes(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: folder.appendingPathComponent(name)))
  }

  private func write(_ bytes: some Collection<UInt8>, _ name: String) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Data(bytes).write(to: folder.appendingPathComponent(name))
  }

  private func remove() {
    try? FileManager.default.removeItem(at: folder.deletingLastPathComponent().deletingLastPathComponent())
  }

  /// A file by its entity tag, in parts where they are asked for.
  private func parts(_ body: [UInt8], tag: String = "\"v1\"") -> @Sendable (Server.Request) -> Server.Answer {
    { request in
      var answer = Server.Answer(fields: ["ETag": tag], body: body)
      if let range = request.fields["range"], request.fields["if-range"].map({ $0 == tag }) ?? true,
        let start = Int(range.dropFirst(6).dropLast())
      {
        guard start < body.count else {
          return Server.Answer(status: "416 Range Not Satisfiable", fields: ["Content-Range": "bytes */\(body.count)"])
        }
        answer.status = "206 Partial Content"
        answer.fields["Content-Range"] = "bytes \(start)-\(body.count - 1)/\(body.count)"
        answer.body = Array(body[start...])
      }
      return answer
    }
  }

  private func failure(_ body: () throws -> Void) -> String {
    do { try body() } catch { return "\(error)" }
    return ""
  }

  @Test func whole() throws {
    defer { remove() }
    let server = try Server(parts(body))
    let last = Mutex<DownloadProgress?>(nil)
    let file = try download(server.url("a/b/net.pt?x=1#y"), into: path) { progress in last.withLock { $0 = progress } }
    #expect(file == path.appending("net.pt").string && names == ["net.pt"])
    #expect(try bytes("net.pt") == body)
    #expect(last.withLock { $0?.received == body.count && $0?.expected == body.count })
    #expect(server.requests.count == 1 && server.requests[0].fields["range"] == nil)
    // What is there is not asked for again.
    #expect(try download(server.url("net.pt"), into: path) == file && server.requests.count == 1)
  }

  @Test func emptyFile() throws {
    defer { remove() }
    let server = try Server { _ in Server.Answer() }
    _ = try download(server.url("net.pt"), into: path)
    #expect(try bytes("net.pt").isEmpty && names == ["net.pt"])
  }

  @Test func brokenOffAndResumed() throws {
    defer { remove() }
    let answer = parts(body)
    let server = try Server { request in
      var result = answer(request)
      result.sent = 40_000
      return result
    }
    let text = failure { _ = try download(server.url("net.pt"), into: path) }
    #expect(text.contains("broke off after 40000 of 100003 bytes") && text.hasSuffix("the same command continues it"))
    #expect(names == ["net.pt.part", "net.pt.part.etag"])
    #expect(try bytes("net.pt.part") == Array(body[..<40_000]))
    let whole = try Server(answer)
    _ = try download(whole.url("net.pt"), into: path)
    #expect(whole.requests[0].fields["range"] == "bytes=40000-" && whole.requests[0].fields["if-range"] == "\"v1\"")
    #expect(try bytes("net.pt") == body && names == ["net.pt"])
  }

  /// Another version stands there by now: the server sends it whole.
  @Test func changedMeanwhile() throws {
    defer { remove() }
    try write([1, 2, 3], "net.pt.part")
    try write("\"v0\"".utf8, "net.pt.part.etag")
    let server = try Server(parts(body))
    _ = try download(server.url("net.pt"), into: path)
    #expect(server.requests.count == 1 && server.requests[0].fields["if-range"] == "\"v0\"")
    #expect(try bytes("net.pt") == body && names == ["net.pt"])
  }

  @Test func serverWithoutParts() throws {
    defer { remove() }
    try write(body[..<10], "net.pt.part")
    try write("\"v1\"".utf8, "net.pt.part.etag")
    let server = try Server { [body] _ in Server.Answer(body: body) }
    _ = try download(server.url("net.pt"), into: path)
    #expect(try bytes("net.pt") == body && names == ["net.pt"])
  }

  /// Nothing says what the part is of, neither a tag nor a hash.
  @Test func unknownPart() throws {
    defer { remove() }
    try write([9, 9], "net.pt.part")
    let server = try Server(parts(body))
    _ = try download(server.url("net.pt"), into: path)
    #expect(server.requests[0].fields["range"] == nil)
    #expect(try bytes("net.pt") == body)
  }

  @Test func partIsAlreadyWhole() throws {
    defer { remove() }
    try write(body, "net.pt.part")
    try write("\"v1\"".utf8, "net.pt.part.etag")
    let server = try Server(parts(body))
    _ = try download(server.url("net.pt"), into: path)
    #expect(try server.requests.count == 1 && bytes("net.pt") == body)
  }

  /// Longer than the file: begun anew.
  @Test func partIsTooLong() throws {
    defer { remove() }
    try write(body + [1], "net.pt.part")
    try write("\"v1\"".utf8, "net.pt.part.etag")
    let server = try Server(parts(body))
    _ = try download(server.url("net.pt"), into: path)
    #expect(try server.requests.count == 2 && bytes("net.pt") == body)
  }

  /// A server that sends another part than it was asked for.
  @Test func wrongPart() throws {
    defer { remove() }
    try write(body[..<10], "net.pt.part")
    try write("\"v1\"".utf8, "net.pt.part.etag")
    let server = try Server { [body] request in
      guard request.fields["range"] != nil else { return Server.Answer(body: body) }
      return Server.Answer(
        status: "206 Partial Content", fields: ["Content-Range": "bytes 0-9/10"], body: Array(body[..<10]))
    }
    _ = try download(server.url("net.pt"), into: path)
    #expect(try bytes("net.pt") == body)
  }

  /// A part of another version than the one that was begun.
  @Test(arguments: ["206 Partial Content", "416 Range Not Satisfiable"]) func partOfAnotherVersion(status: String)
    throws
  {
    defer { remove() }
    try write(body[..<10], "net.pt.part")
    try write("\"v1\"".utf8, "net.pt.part.etag")
    let server = try Server { [body] request in
      guard request.fields["range"] != nil else { return Server.Answer(fields: ["ETag": "\"v2\""], body: body) }
      let isPart = status.hasPrefix("206")
      let range = isPart ? "bytes 10-\(body.count - 1)/\(body.count)" : "bytes */10"
      return Server.Answer(
        status: status, fields: ["Content-Range": range, "ETag": "\"v2\""],
        body: isPart ? body[10...].map { $0 ^ 1 } : [])
    }
    _ = try download(server.url("net.pt"), into: path)
    #expect(try bytes("net.pt") == body && names == ["net.pt"] && server.requests.count == 2)
  }

  /// Where the connection's end ends the file, only a hash tells whether it is whole.
  @Test func unknownLength() throws {
    defer { remove() }
    let server = try Server { _ in Server.Answer(body: Array("abc".utf8), saysLength: false) }
    let text = failure { _ = try download(server.url("net.pt"), into: path) }
    #expect(text.contains("does not say how long the file is") && names.isEmpty)
    _ = try download(server.url("net-ba7816bf.pth"), into: path)
    #expect(names == ["net-ba7816bf.pth"])
  }

  @Test func whatIsNotThereLeavesNothing() throws {
    defer { remove() }
    let server = try Server { _ in Server.Answer(status: "404 Not Found", body: [1, 2, 3]) }
    #expect(failure { _ = try download(server.url("net.pt"), into: path) }.contains("answers 404"))
    #expect(names.isEmpty)
  }

  // MARK: Hashes

  @Test func hash() throws {
    defer { remove() }
    let server = try Server { _ in Server.Answer(body: Array("abc".utf8)) }
    _ = try download(server.url("net-ba7816bf.pth"), into: path)
    #expect(names == ["net-ba7816bf.pth"])
    let text = failure { _ = try download(server.url("net-ba7816b0.pth"), into: path) }
    #expect(
      text.hasSuffix(
        "/net-ba7816b0.pth: what was downloaded is not what its name says: its SHA-256 begins with ba7816bf"))
    #expect(names == ["net-ba7816bf.pth"])
    // Fewer than 8 digits, or others, are no hash.
    _ = try download(server.url("net-1234567.pth"), into: path)
    _ = try download(server.url("net-BA7816B0.pth"), into: path)
    try write("abd".utf8, "net-ba7816bf.pth")
    let there = failure { _ = try download(server.url("net-ba7816bf.pth"), into: path) }
    #expect(there.contains("is not what its name says") && there.hasSuffix("delete it to download it again"))
  }

  /// With a hash a part needs no tag; where the whole is wrong it is begun anew, once.
  @Test func hashOfAResumedFile() throws {
    defer { remove() }
    let answer = parts(Array("abc".utf8))
    for part in ["a", "x"] {
      try write(part.utf8, "net-ba7816bf.pth.part")
      let server = try Server(answer)
      _ = try download(server.url("net-ba7816bf.pth"), into: path)
      #expect(server.requests.count == (part == "a" ? 1 : 2) && server.requests[0].fields["range"] == "bytes=1-")
      #expect(try names == ["net-ba7816bf.pth"] && bytes("net-ba7816bf.pth") == Array("abc".utf8))
      remove()
    }
  }

  // MARK: Redirects and refusals

  @Test func redirects() throws {
    defer { remove() }
    let server = try Server { [body] request in
      switch request.path {
      case "/net.pt": Server.Answer(status: "302 Found", fields: ["Location": "/one"], body: [1, 2])
      case "/one": Server.Answer(status: "308 Permanent Redirect", fields: ["Location": "two"])
      case "/two": Server.Answer(body: body)
      case "/file.pt": Server.Answer(status: "302 Found", fields: ["Location": "file:///etc/passwd"])
      case "/nowhere.pt": Server.Answer(status: "302 Found")
      default: Server.Answer(status: "302 Found", fields: ["Location": "/loop.pt"])
      }
    }
    _ = try download(server.url("net.pt"), into: path)
    #expect(try bytes("net.pt") == body)
    #expect(failure { _ = try download(server.url("loop.pt"), into: path) }.contains("redirects more than ten times"))
    #expect(
      failure { _ = try download(server.url("file.pt"), into: path) }.contains(
        "redirects to file:///etc/passwd, which is not followed"))
    #expect(failure { _ = try download(server.url("nowhere.pt"), into: path) }.contains("redirects to nowhere"))
  }

  @Test func refusals() throws {
    defer { remove() }
    let server = try Server { request in
      request.path == "/gzip.pt"
        ? Server.Answer(fields: ["Content-Encoding": "gzip"], body: [1])
        : Server.Answer(status: "404 Not Found", body: Array("<html>".utf8))
    }
    #expect(failure { _ = try download(server.url("net.pt"), into: path) }.contains("the server answers 404 Not Found"))
    #expect(failure { _ = try download(server.url("gzip.pt"), into: path) }.contains("encoded as 'gzip'"))
    for address in ["ftp://h/net.pt", "file:///net.pt", "net.pt", ""] {
      #expect(failure { _ = try download(address, into: path) }.contains("is no address of http or https"))
    }
    for address in ["http://h", "http://h/", "https://h/a/", "https://h/..", "https://h/.x", "https://h/?a/b"] {
      #expect(failure { _ = try download(address, into: path) }.contains("names no file"))
    }
    #expect(failure { _ = try download("http://h/a b", into: path) }.contains("holds a space"))
    #expect(
      failure { _ = try download("http://user:secret@127.0.0.1:1/n.pt", into: path) }.hasPrefix(
        "http://127.0.0.1:1/n.pt: cannot be downloaded: "))
    #expect(names.allSatisfy { !$0.hasSuffix(".pt") })
  }

  @Test func tooLarge() throws {
    defer { remove() }
    var limits = DownloadLimits()
    limits.maximumBytes = 1000
    let server = try Server { [body] request in
      request.path == "/net.pt"
        ? Server.Answer(body: body)
        : Server.Answer(fields: ["Content-Length": "99999999999999999999"], body: [1])
    }
    #expect(
      failure { _ = try download(server.url("net.pt"), into: path, limits: limits) }.contains(
        "is larger than 1000 bytes"))
    #expect(
      failure { _ = try download(server.url("huge.pt"), into: path, limits: limits) }.contains(
        "the length as 99999999999999999999, which is none"))
    #expect(names.allSatisfy { !$0.hasSuffix(".pt") })
  }

  @Test func standingStill() throws {
    defer { remove() }
    var limits = DownloadLimits()
    limits.stallSeconds = 1
    let server = try Server { [body] _ in Server.Answer(body: body, sent: 10, pause: .seconds(6)) }
    let text = failure { _ = try download(server.url("net.pt"), into: path, limits: limits) }
    #expect(text.contains("broke off after 10 of 100003 bytes"))
  }

  @Test func oneProcessAtATime() throws {
    defer { remove() }
    let server = try Server(parts(body))
    try write([], "net.pt.part")
    let held = try FileDescriptor.open(path.appending("net.pt.part"), .readWrite)
    #expect(flock(held.rawValue, LOCK_EX) == 0)
    #expect(
      failure { _ = try download(server.url("net.pt"), into: path) }.contains("is being downloaded by another process"))
    try held.close()
    _ = try download(server.url("net.pt"), into: path)
    #expect(server.requests.count == 1)
  }
}
