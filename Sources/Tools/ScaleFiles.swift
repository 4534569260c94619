import FoundationEssentials
import ModelUtils
import SystemPackage

/// One picture to read (the embedded one where `input` is nil) and where it goes.
struct ScaleJob: Sendable {
  let name: String
  let input: FilePath?
  let output: FilePath?
}

/// Which pictures, and where to.
enum ScaleInput {
  static func isFolder(_ path: FilePath) -> Bool {
    var isFolder = false
    return FileManager.default.fileExists(atPath: path.string, isDirectory: &isFolder) && isFolder
  }

  /// The files that the arguments stand for; a folder's pictures in the order of their names. None for the embedded
  /// picture.
  /// - Parameter passOver: is told which pictures of a folder are of formats that are not read.
  static func all(_ arguments: [String], passOver: (String) -> Void) throws -> [FilePath] {
    try arguments.flatMap { argument in
      let path = FilePath(argument)
      guard isFolder(path) else { return [path] }
      let names: [String]
      do { names = try FileManager.default.contentsOfDirectory(atPath: argument) } catch {
        throw ModelError(.system, "cannot be read", file: argument)
      }
      let pictures = names.filter { !$0.hasPrefix(".") && ImageFile.Format(of: FilePath($0)) != nil }.sorted()
      let others = names.filter { otherFormats.contains(FilePath($0).extension?.lowercased() ?? "") }.sorted()
      if let first = others.first {
        passOver("\(argument): \(others.count) pictures are passed over, \(first) first: only PNG and JPEG are read")
      }
      guard !pictures.isEmpty else { throw ModelError(.missing, "holds no .png, .jpg or .jpeg", file: argument) }
      return pictures.map { path.appending($0) }
    }
  }

  /// Extensions of pictures that are not read.
  private static let otherFormats: Set<String> = ["avif", "bmp", "gif", "heic", "jp2", "tif", "tiff", "webp"]

  /// Pairs each picture with its output.
  /// - Throws: `ModelError` when an output exists, two are the same, or no format is meant by its extension.
  static func jobs(
    _ inputs: [FilePath], output: String?, isMany: Bool, batch: Bool, force: Bool
  ) throws -> [ScaleJob] {
    if batch, let output {
      guard FilePath(output).extension?.lowercased() == "safetensors" else {
        throw ModelError(
          .invalid,
          "is no safetensors file", file: output, advice: "give --batch an output that ends in .safetensors")
      }
      try check(FilePath(output), force: force)
      return inputs.isEmpty ? [ScaleJob(name: "sample.jpg", input: nil, output: nil)] : inputs.map { job($0, nil) }
    }
    guard isMany || output.map({ $0.hasSuffix("/") || isFolder(FilePath($0)) }) == true else {
      return [try single(inputs.first, output, force: force)]
    }
    guard let output else {
      throw ModelError(
        .invalid, "\(inputs.count) pictures need a place to go", advice: "give a folder with -o, or --batch")
    }
    let folder = FilePath(output)
    do {
      try FileManager.default.createDirectory(atPath: folder.string, withIntermediateDirectories: true)
    } catch {
      throw ModelError(.system, "is no folder and cannot be made one", file: output)
    }
    guard !inputs.isEmpty else { return [try single(nil, folder.appending("sample.jpg").string, force: force)] }
    var taken: [FilePath: FilePath] = [:]
    return try inputs.map { input in
      let path = folder.appending(input.lastComponent?.string ?? "picture.png")
      if let other = taken.updateValue(input, forKey: path) {
        throw ModelError(.invalid, "would be written for \(other) and for \(input)", file: path.string)
      }
      guard ImageFile.Format(of: path) != nil else {
        throw ModelError(
          .unsupported, "has no extension of a picture, so it is not known how to write it", file: input.string)
      }
      try check(path, force: force)
      return job(input, path)
    }
  }

  private static func single(_ input: FilePath?, _ output: String?, force: Bool) throws -> ScaleJob {
    let name = input?.lastComponent?.string ?? "sample.jpg"
    var path = output.map { FilePath($0) }
    if path == nil, let input {
      let file = FilePath(name)
      let ending = ImageFile.Format(of: file) == nil ? "png" : file.extension ?? "png"
      path = input.removingLastComponent().appending("\(file.stem ?? name)-scaled.\(ending)")
    }
    if let path {
      guard ImageFile.Format(of: path) != nil || path.extension?.lowercased() == "safetensors" else {
        throw ModelError(
          .invalid,
          "has no extension that names a format", file: path.string, advice: "name it .png, .jpg, .jpeg or .safetensors"
        )
      }
      try check(path, force: force)
    }
    return ScaleJob(name: name, input: input, output: path)
  }

  private static func job(_ input: FilePath, _ output: FilePath?) -> ScaleJob {
    ScaleJob(name: input.lastComponent?.string ?? input.string, input: input, output: output)
  }

  private static func check(_ path: FilePath, force: Bool) throws {
    if !force, (try? FileDescriptor.open(path, .readOnly, options: [.nonBlocking]).close()) != nil {
      throw ModelError(.exists, "exists already", file: path.string, advice: "give --force to replace it")
    }
  }
}

/// Pictures as tensors of one safetensors file.
enum ScaleBatch {
  /// Equal shapes are stacked in the order of the pictures: `images` [n, 3, h, w] where all are equal, else
  /// `images.HxW` for each size. The metadata says which picture is which.
  static func write(_ results: [ScaleResult], to path: FilePath) throws {
    var groups: [(shape: [Int], members: [Int])] = []
    for (index, result) in results.enumerated() {
      let shape = result.line.output
      if let known = groups.firstIndex(where: { $0.shape == shape }) {
        groups[known].members.append(index)
      } else {
        groups.append((shape, [index]))
      }
    }
    let stacks = try groups.map { group in
      try Tensor(.float32, [group.members.count, 3] + group.shape) { bytes in
        let size = bytes.count / group.members.count
        for (place, member) in group.members.enumerated() {
          guard let tensor = results[member].tensor else { continue }
          try tensor.copyBytes(to: UnsafeMutableRawBufferPointer(rebasing: bytes[place * size..<(place + 1) * size]))
        }
      }
    }
    var state = StateDict()
    var metadata: [String: String] = [:]
    for (group, stack) in zip(groups, stacks) {
      let name = groups.count == 1 ? "images" : "images.\(group.shape[0])x\(group.shape[1])"
      state[name] = stack
      for (place, member) in group.members.enumerated() { metadata["\(name).\(place)"] = results[member].line.name }
    }
    state.metadata = metadata
    try SafeTensors.write(state, to: path)
  }
}
