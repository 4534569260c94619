import ModelCore
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The folder where torch.hub keeps the weights that it has downloaded.
public enum HubCache {
  /// `$TORCH_HOME/hub/checkpoints`, else `$XDG_CACHE_HOME/torch/hub/checkpoints`, else
  /// `~/.cache/torch/hub/checkpoints`.
  ///
  /// **Ours**: an empty variable counts as none.
  /// - Throws: `ModelError` when there is no home folder either.
  public static func folder() throws -> String {
    let torch: FilePath
    if let home = variable("TORCH_HOME") {
      torch = try expanded(home)
    } else {
      torch = try expanded(variable("XDG_CACHE_HOME") ?? "~/.cache").appending("torch")
    }
    return torch.appending("hub").appending("checkpoints").string
  }

  /// The pretrained weights of one of torchvision's architectures in that folder: those that `pretrained=True` gives,
  /// else the newer ones in their order, else ones that torchvision no longer names. The SHA-256 that begins in the
  /// file's name is checked.
  /// - Returns: nil where there are none.
  /// - Throws: `ModelError` for a file whose hash is not what its name says.
  public static func weights(of architecture: String) throws -> String? {
    let folder = FilePath(try folder())
    guard let name = choice(for: architecture, among: FileFolder.names(in: folder)) else { return nil }
    let path = folder.appending(name)
    if let fault = try FileHash.fault(of: path, named: name) {
      throw ModelError(.invalid, fault, file: path.string, advice: "delete it and download it again")
    }
    return path.string
  }

  package static func choice(for architecture: String, among names: [String]) -> String? {
    let known = PretrainedFiles.files(of: architecture)
    if let name = known.first(where: { names.contains($0) }) { return name }
    let stems = PretrainedFiles.stems(of: architecture)
    return stems.lazy.compactMap { stem in
      names.first { $0.hasSuffix(".pth") && PretrainedFiles.stem(of: $0) == stem }
    }.first
  }

  private static func variable(_ name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
  }

  private static func expanded(_ path: String) throws -> FilePath {
    guard path == "~" || path.hasPrefix("~/") else { return FilePath(path) }
    guard let home = variable("HOME") ?? getpwuid(getuid()).map({ String(cString: $0.pointee.pw_dir) }) else {
      throw ModelError(
        .missing, "there is no home folder, so there is no cache of pretrained weights", advice: "set TORCH_HOME")
    }
    return FilePath(home).appending(String(path.dropFirst(2)))
  }
}
