import ModelCore
import SystemPackage

/// What a download may take.
public struct DownloadLimits: Sendable {
  /// The most bytes of a file; more is refused. 16 GiB unless set.
  public var maximumBytes = 16 << 30
  /// For how many seconds fewer than 1000 bytes a second may come.
  public var stallSeconds = 60

  /// The limits as they are unless set.
  public init() {}
}

/// How far a download has come.
public struct DownloadProgress: Sendable, Hashable {
  /// In bytes, those of an earlier run included.
  public let received: Int
  /// How many it will be; nil where the server does not say.
  public let expected: Int?
}

/// Downloads a file into a folder, under the name that ends its address: torch.hub's `download_url_to_file`.
///
/// The file appears whole or not at all. Until then it is `NAME.part`, which a later run continues where the server
/// still has the same version (its entity tag, else its date, else the hash in the name says so). Eight or more
/// hexadecimal digits between the name's last `-` and its extension are the beginning of its SHA-256, and are checked.
/// Redirects are followed, never from https to http and never to anything else. A file that is there is not downloaded
/// again; its hash is checked.
/// - Parameters:
///   - url: of http or https.
///   - folder: is made where it is missing.
///   - progress: is told often.
/// - Returns: where the file is.
/// - Throws: `ModelError` for what cannot be downloaded whole, for a hash that differs, and where there is no libcurl.
public func download(
  _ url: String, into folder: some FileLocation, limits: DownloadLimits = DownloadLimits(),
  progress: @escaping (DownloadProgress) -> Void = { _ in }
) throws -> String {
  let folder = try folder.filePath
  let address = try WebAddress(url)
  let name = try address.fileName()
  let target = folder.appending(name)
  if try isThere(target, named: name) { return target.string }
  try FileFolder.make(folder)
  let partial = try PartialFile(of: target)
  // Another process may just have finished it.
  if try isThere(target, named: name) {
    partial.discard()
    return target.string
  }
  if partial.count > 0, partial.validator == nil, FileHash.named(in: name) == nil {
    try partial.restart(validator: nil)
  }
  var isContinued = partial.count > 0
  // Nothing is left of what never began.
  defer { if partial.count == 0, !FileFolder.exists(target) { partial.discard() } }
  while true {
    switch try follow(address, to: partial, limits: limits, progress: progress) {
    case .unusablePart where isContinued: break
    case .unusablePart, .redirect:
      throw ModelError(.system, "the server sends a part that was not asked for", file: address.shown)
    case .complete:
      guard let fault = try FileHash.fault(of: partial.path, named: name) else {
        try partial.commit()
        return target.string
      }
      guard isContinued else {
        partial.discard()
        throw ModelError(.mismatch, "what was downloaded \(fault)", file: address.shown)
      }
    }
    // What was there was of no use: once more, from the beginning.
    try partial.restart(validator: nil)
    isContinued = false
  }
}

/// - Throws: `ModelError` for a file whose hash is not what its name says.
private func isThere(_ path: FilePath, named name: String) throws -> Bool {
  guard FileFolder.exists(path) else { return false }
  if let fault = try FileHash.fault(of: path, named: name) {
    throw ModelError(.mismatch, fault, file: path.string, advice: "delete it to download it again")
  }
  return true
}

private func follow(
  _ address: WebAddress, to partial: PartialFile, limits: DownloadLimits,
  progress: @escaping (DownloadProgress) -> Void
) throws -> Transfer.Outcome {
  var current = address
  for _ in 0...10 {
    let outcome = try Transfer(current, to: partial, limits: limits, progress: progress).run()
    guard case .redirect(let location) = outcome else { return outcome }
    guard let next = try? WebAddress(location), next.isSecure || !current.isSecure else {
      throw ModelError(.system, "redirects to \(location), which is not followed", file: current.shown)
    }
    current = next
  }
  throw ModelError(.limit, "redirects more than ten times", file: address.shown)
}
