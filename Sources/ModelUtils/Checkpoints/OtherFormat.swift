import ModelCore
import SystemPackage

/// What people take for a checkpoint and is none: what it is, and what to do.
enum OtherFormat {
  private struct Signature {
    let bytes: [UInt8]
    var offset = 0
    let what: String
    var advice: String?
  }

  private static let signatures = [
    Signature(bytes: [0x1f, 0x8b], what: "is compressed with gzip", advice: "unpack it with gunzip"),
    Signature(bytes: Array("BZh".utf8), what: "is compressed with bzip2", advice: "unpack it with bunzip2"),
    Signature(bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a], what: "is compressed with xz", advice: "unpack it with unxz"),
    Signature(bytes: [0x28, 0xb5, 0x2f, 0xfd], what: "is compressed with zstd", advice: "unpack it with unzstd"),
    Signature(bytes: [0x37, 0x7a, 0xbc, 0xaf], what: "is a 7z archive", advice: "unpack it first"),
    Signature(
      bytes: [0x93] + Array("NUMPY".utf8), what: "is a single NumPy array (.npy)",
      advice: "save a state dict of tensors"),
    Signature(
      bytes: Array("GGUF".utf8), what: "is a GGUF file, as llama.cpp reads it", advice: "give the file it was made from"
    ),
    Signature(
      bytes: [0x89] + Array("HDF".utf8), what: "is an HDF5 file, as Keras writes it",
      advice: "save the weights as safetensors"),
    Signature(
      bytes: Array("TFL3".utf8), offset: 4, what: "is a TensorFlow Lite model", advice: "give the file it was made from"
    ),
    Signature(
      bytes: Array("version https://git-lfs".utf8), what: "is a Git LFS pointer: the real file was not downloaded"),
    Signature(bytes: Array("<!DOCTYPE".utf8), what: "is a web page: the download went wrong"),
    Signature(bytes: Array("<html".utf8), what: "is a web page: the download went wrong"),
  ]

  /// The refusal of a file that is known by its first bytes; nil for any other.
  static func refusal(of file: FileBytes) -> ModelError? {
    if let advice = compressedTar(file) {
      return ModelError(.unsupported, "is a compressed tar archive", advice: advice)
    }
    for signature in signatures where file.bytes.dropFirst(signature.offset).starts(with: signature.bytes) {
      return ModelError(.unsupported, signature.what, advice: signature.advice)
    }
    return nil
  }

  private static let tarEndings: [(first: [UInt8], endings: [String], option: String)] = [
    ([0x1f, 0x8b], [".tar.gz", ".tgz"], "xzf"), (Array("BZh".utf8), [".tar.bz2", ".tbz2"], "xjf"),
    ([0xfd, 0x37, 0x7a, 0x58, 0x5a], [".tar.xz", ".txz"], "xJf"),
  ]

  /// What to do with a compressed file whose name says that a tar archive is in it; nil for any other.
  private static func compressedTar(_ file: FileBytes) -> String? {
    let name = file.name.lowercased()
    return tarEndings.first { kind in
      file.bytes.starts(with: kind.first) && kind.endings.contains { name.hasSuffix($0) }
    }.map { "unpack it with tar \($0.option)" }
  }

  /// The refusal of a file that is none of those either.
  static let unknown = ModelError(
    .malformed, "is neither a PyTorch checkpoint nor a safetensors file nor an ONNX model")

  /// The refusal of a zip archive that is no checkpoint, by the names of its members.
  static func refusal(ofArchive names: some Collection<String>) -> ModelError {
    let endings = names.filter { !$0.hasSuffix("/") }
    if !endings.isEmpty, endings.allSatisfy({ $0.hasSuffix(".npy") }) {
      return ModelError(
        .unsupported, "is an archive of NumPy arrays (.npz)", advice: "save them as a state dict of tensors")
    }
    if names.contains(where: { $0.hasSuffix("/archive_format") || $0.hasSuffix("serialized_exported_program.json") }) {
      return ModelError(
        .unsupported, "is a program of torch.export (.pt2), which is not read",
        advice: "save the module's state_dict() with torch.save")
    }
    return ModelError(.missing, "is a zip archive but not a PyTorch checkpoint: it holds no data.pkl")
  }

  /// Maps a file.
  /// - Throws: `ModelError`; for a folder it says which file in it is meant.
  static func open(_ location: some FileLocation) throws -> FileBytes {
    do { return try FileBytes(mapping: location) } catch {
      let folder = try location.filePath
      guard error.kind == .unsupported, error.advice == nil, exists(folder.appending(".")) else { throw error }
      var explained = error
      explained.reason = "is a folder"
      explained.advice = advice(forFolder: folder)
      throw explained
    }
  }

  private static let filesInFolders = [
    "model.safetensors.index.json", "model.safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin",
    "diffusion_pytorch_model.safetensors", "adapter_model.safetensors", "model.pt",
  ]

  private static func advice(forFolder folder: FilePath) -> String {
    if exists(folder.appending("data.pkl")) {
      return "it is an unpacked PyTorch file; pack it again: zip -0r model.pt \(folder.lastComponent?.string ?? ".")"
    }
    guard let file = filesInFolders.first(where: { exists(folder.appending($0)) }) else { return "give a file in it" }
    return "give \(folder.appending(file).string)"
  }

  private static func exists(_ path: FilePath) -> Bool {
    (try? FileDescriptor.open(path, .readOnly, options: [.nonBlocking]).close()) != nil
  }
}
