import Foundation
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A server on the loopback that answers each request with bytes of the test's choosing, and closes.
final class Server: Sendable {
  struct Request: Sendable {
    let path: String
    let fields: [String: String]
  }

  struct Answer: Sendable {
    var status = "200 OK"
    var fields: [String: String] = [:]
    var body: [UInt8] = []
    var saysLength = true
    /// How many bytes of the body are sent before the connection is closed; all when nil.
    var sent: Int?
    /// For how long the connection then stays open.
    var pause: Duration?
  }

  let port: UInt16
  private let socket: Int32
  private let seen = Mutex<[Request]>([])

  var requests: [Request] { seen.withLock { $0 } }
  func url(_ path: String) -> String { "http://127.0.0.1:\(port)/\(path)" }

  init(_ answer: @escaping @Sendable (Request) -> Answer) throws {
    #if canImport(Darwin)
      let kind = SOCK_STREAM
    #else
      let kind = Int32(SOCK_STREAM.rawValue)
    #endif
    socket = Self.socket(AF_INET, kind, 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = socket
    let isReady = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && listen(descriptor, 8) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    guard isReady else { throw CocoaError(.fileNoSuchFile) }
    port = UInt16(bigEndian: address.sin_port)
    Thread.detachNewThread { [seen = Weak(self)] in
      while case let connection = accept(descriptor, nil, nil), connection >= 0 {
        Self.serve(connection) { request in
          seen.value?.seen.withLock { $0.append(request) }
          return answer(request)
        }
      }
      // By whom it waits for others: its number may be another's as soon as it is closed.
      close(descriptor)
    }
  }

  deinit { shutdown(socket, Int32(SHUT_RDWR)) }

  private static func socket(_ domain: Int32, _ kind: Int32, _ proto: Int32) -> Int32 {
    #if canImport(Glibc)
      Glibc.socket(domain, kind, proto)
    #elseif canImport(Musl)
      Musl.socket(domain, kind, proto)
    #else
      Darwin.socket(domain, kind, proto)
    #endif
  }

  private static func serve(_ connection: Int32, _ answer: (Request) -> Answer) {
    defer { close(connection) }
    var received: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while !String(decoding: received, as: UTF8.self).hasSuffix("\r\n\r\n") {
      let count = read(connection, &buffer, buffer.count)
      guard count > 0 else { return }
      received += buffer[..<count]
    }
    let lines = String(decoding: received, as: UTF8.self).components(separatedBy: "\r\n")
    var fields: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      fields[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
    }
    let answer = answer(Request(path: lines[0].components(separatedBy: " ")[1], fields: fields))
    var head = ["Connection": "close"]
    if answer.saysLength { head["Content-Length"] = "\(answer.body.count)" }
    head.merge(answer.fields) { $1 }
    let text = "HTTP/1.1 \(answer.status)\r\n" + head.map { "\($0.key): \($0.value)\r\n" }.joined() + "\r\n"
    let bytes = Array(text.utf8) + answer.body.prefix(answer.sent ?? answer.body.count)
    var start = 0
    while start < bytes.count {
      let count = bytes[start...].withUnsafeBytes { send(connection, $0.baseAddress, $0.count, noSignal) }
      guard count > 0 else { return }
      start += count
    }
    if let pause = answer.pause { Thread.sleep(forTimeInterval: Double(pause.components.seconds)) }
  }

  #if canImport(Darwin)
    private static let noSignal: Int32 = 0
  #else
    private static let noSignal = Int32(MSG_NOSIGNAL)
  #endif

  private final class Weak: @unchecked Sendable {
    weak var value: Server?
    init(_ value: Server) { self.value = value }
  }
}
