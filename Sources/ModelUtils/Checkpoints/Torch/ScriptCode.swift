import ModelCore

/// What the code of a TorchScript archive says of its classes. The code is text here, and never run.
struct ScriptCode {
  private let archive: ZipArchive
  /// The parameters of each class, by the file that the class stands in.
  private var files: [String: [Substring: Set<String>]] = [:]

  init(_ archive: ZipArchive) { self.archive = archive }

  /// The names that a class lists as its parameters; all its other tensors are buffers. Nil where the archive has no
  /// such class.
  mutating func parameters(of className: ClassName) throws -> Set<String>? {
    let path = archive.folder + "code/" + className.module.split(separator: ".").joined(separator: "/") + ".py"
    if files[path] == nil { files[path] = try read(path) }
    return files[path]?[className.name[...]]
  }

  private func read(_ path: String) throws -> [Substring: Set<String>] {
    guard let member = archive.member(named: path) else { return [:] }
    let data = try archive.data(of: member)
    let text = withExtendedLifetime(data) { String(decoding: data.bytes, as: UTF8.self) }
    var classes: [Substring: Set<String>] = [:]
    var current: Substring?
    for line in text.split(separator: "\n") {
      if line.hasPrefix("class ") {
        current = line.dropFirst("class ".count).prefix { $0 != "(" && $0 != ":" }
      } else if let name = current, line.hasPrefix("  __parameters__ = [") {
        // Between quotation marks stand identifiers and nothing else.
        let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
        classes[name] = Set(stride(from: 1, to: parts.count, by: 2).map { String(parts[$0]) })
      }
    }
    return classes
  }
}
