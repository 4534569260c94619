import CDownload
import ModelCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// One request and what becomes of its answer.
final class Transfer {
  enum Outcome {
    /// The partial file is whole, as far as the server says.
    case complete
    case redirect(String)
    /// What is there does not continue: begin anew.
    case unusablePart
  }

  private let address: WebAddress
  private let partial: PartialFile
  private let limits: DownloadLimits
  private let progress: (DownloadProgress) -> Void
  private var answer = HTTPAnswer()
  private var isBodyKept: Bool?
  private var isPartUnusable = false
  private var expected: Int?
  private var failure: (any Error)?

  init(
    _ address: WebAddress, to partial: PartialFile, limits: DownloadLimits,
    progress: @escaping (DownloadProgress) -> Void
  ) {
    (self.address, self.partial, self.limits, self.progress) = (address, partial, limits, progress)
  }

  /// - Throws: `ModelError` where the server cannot be reached or does not send the file whole; what came is kept.
  func run() throws -> Outcome {
    var headers: [String] = []
    if partial.count > 0 {
      headers.append("Range: bytes=\(partial.count)-")
      if let validator = partial.validator { headers.append("If-Range: \(validator)") }
    }
    let (outcome, message, redirect) = perform(headers)
    if let failure { throw failure }
    if isPartUnusable { return .unusablePart }
    switch outcome {
    case MD_NO_LIBRARY:
      throw ModelError(
        .missing,
        "cannot be downloaded, for there is no libcurl here", file: address.shown,
        advice: "install libcurl, or download the file by hand and give its path with --weights")
    case MD_FAILED where isBodyKept == true: throw brokenOff(message)
    case MD_FAILED, MD_STOPPED: throw ModelError(.system, "cannot be downloaded: \(message)", file: address.shown)
    default: break
    }
    if answer.isRedirect {
      guard let redirect else { throw ModelError(.system, "redirects to nowhere", file: address.shown) }
      return .redirect(redirect)
    }
    // A file without bytes has no body to decide at.
    if isBodyKept == nil, !decide() {
      if let failure { throw failure }
      return .unusablePart
    }
    if let expected, partial.count != expected { throw brokenOff("the connection was closed") }
    return .complete
  }

  private func brokenOff(_ reason: String) -> ModelError {
    let amount = expected.map { "\(partial.count) of \($0)" } ?? "\(partial.count)"
    return ModelError(
      .system,
      "the download broke off after \(amount) bytes: \(reason)", file: address.shown,
      advice: "what came is kept, and the same command continues it")
  }

  // MARK: The answer

  fileprivate func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
    if answer.isRedirect { return true }
    if isBodyKept == nil, !decide() { return false }
    guard isBodyKept == true else { return true }
    do {
      guard bytes.count <= limits.maximumBytes - partial.count else { throw tooLarge() }
      try partial.append(bytes)
    } catch {
      failure = error
      return false
    }
    progress(DownloadProgress(received: partial.count, expected: expected))
    return true
  }

  fileprivate func receiveHead(_ line: String) -> Bool {
    answer.add(line)
    return true
  }

  /// At the body's begin: whether it continues what is there, begins anew, or is no file at all.
  private func decide() -> Bool {
    do {
      switch answer.status {
      case 200:
        try checkEncoding()
        guard !answer.endsWithConnection || partial.hasHash else {
          throw ModelError(
            .system, "the server does not say how long the file is, so nobody could tell whether it came whole",
            file: address.shown, advice: "download it by hand and give its path with --weights")
        }
        try partial.restart(validator: answer.validator)
        expected = try answer.length()
      case 206:
        try checkEncoding()
        guard let range = answer.range, range.start == partial.count, partial.count > 0, isSameVersion else {
          isPartUnusable = true
          return false
        }
        expected =
          try range.whole
          ?? answer.length().flatMap { length in
            let (sum, overflow) = length.addingReportingOverflow(partial.count)
            return overflow ? nil : sum
          }
      case 416 where partial.count > 0:
        isBodyKept = false
        isPartUnusable = answer.range?.whole != partial.count || !isSameVersion
        return !isPartUnusable
      default:
        throw ModelError(.system, "the server answers \(answer.status) \(answer.reason)", file: address.shown)
      }
      if let expected, expected > limits.maximumBytes { throw tooLarge() }
    } catch {
      failure = (error as? ModelError)?.inFile(address.shown) ?? error
      return false
    }
    isBodyKept = true
    return true
  }

  /// Whether what the server calls this version does not say that it is another.
  private var isSameVersion: Bool {
    guard let ours = partial.validator, let theirs = answer.validator else { return true }
    return ours == theirs
  }

  private func checkEncoding() throws {
    guard let encoding = answer["content-encoding"], encoding.lowercased() != "identity" else { return }
    throw ModelError(
      .system, "the server sends it encoded as '\(encoding)', which was not asked for", file: address.shown)
  }

  private func tooLarge() -> ModelError {
    ModelError(.limit, "is larger than \(limits.maximumBytes) bytes, the most that is downloaded", file: address.shown)
  }

  // MARK: libcurl

  private func perform(_ headers: [String]) -> (md_outcome, message: String, redirect: String?) {
    let lines = headers.map { strdup($0) }
    defer { for line in lines { free(line) } }
    var message = [CChar](repeating: 0, count: 256)
    var redirect: UnsafeMutablePointer<CChar>?
    let outcome = address.text.withCString { url in
      "modelutils".withCString { agent in
        lines.map { UnsafePointer($0) }.withUnsafeBufferPointer { pointers in
          var request = md_request(
            url: url, user_agent: agent, headers: pointers.baseAddress, header_count: pointers.count,
            stall_seconds: limits.stallSeconds, context: Unmanaged.passUnretained(self).toOpaque(),
            head: { context, line, count in
              guard let context, let line else { return false }
              let text = String(decoding: UnsafeRawBufferPointer(start: line, count: count), as: UTF8.self)
              return Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue().receiveHead(text)
            },
            body: { context, bytes, count in
              guard let context else { return false }
              return Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue().receive(
                UnsafeRawBufferPointer(start: bytes, count: count))
            })
          return withExtendedLifetime(self) { md_get(&request, &message, &redirect) }
        }
      }
    }
    defer { free(redirect) }
    let text = message.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    return (outcome, text, redirect.map { String(cString: $0) })
  }
}
