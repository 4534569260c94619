import CKernels
import ModelCore

/// A file that `torch.save` or `torch.jit.save` wrote, as a graph of inert objects over mapped storages.
package struct TorchFile: Sendable {
  package enum Format: Sendable, Equatable {
    /// A zip archive, since PyTorch 1.6.
    case zip
    /// A sequence of pickles, before.
    case legacy
    /// A TorchScript archive: its attributes are data, its code is not read.
    case torchScript
  }

  package let format: Format
  package var graph: PickleGraph
  /// How many tensors the code of a TorchScript archive keeps as constants, such as the weights of a frozen module.
  private(set) var constantCount = 0
  /// The names of the parameters of each class of a TorchScript archive.
  private(set) var scriptParameters: [ClassName: Set<String>] = [:]
  /// The members of a zip archive that `torch.save` does not write: what somebody added.
  private(set) var addedMembers: [String] = []

  package init(_ file: FileBytes) throws {
    do {
      if ZipArchive.recognizes(file) {
        let archive = try ZipArchive(file)
        (graph, format) = try Self.readZip(archive)
        if format == .torchScript {
          constantCount = archive.members.keys.count { $0.hasPrefix(archive.folder + "constants/") }
          var code = ScriptCode(archive)
          for name in Set(graph.nodes.indices.compactMap { graph.objectClass($0) }) {
            scriptParameters[name] = try code.parameters(of: name)
          }
        } else {
          addedMembers = archive.members.keys.filter { !Self.isOfTorch($0.dropFirst(archive.folder.count)) }
        }
      } else {
        graph = try LegacyTorchFile.read(file)
        format = .legacy
      }
    } catch let error as ModelError {
      throw error.inFile(file.name)
    }
  }

  /// Whether `torch.save` writes a member of this name, the folder left out.
  private static func isOfTorch(_ name: Substring) -> Bool {
    ["data.pkl", "version", "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id"]
      .contains(name.lowercased()) || name.lowercased().hasPrefix("data/") || name.hasSuffix("/")
  }

  private static func readZip(_ archive: ZipArchive) throws -> (PickleGraph, Format) {
    let name = archive.file.name
    let folder = archive.folder
    guard let member = archive.member(named: folder + "data.pkl"), !folder.isEmpty else {
      guard archive.members.keys.contains(where: { $0.lowercased().hasSuffix("data.pkl") }) else {
        throw OtherFormat.refusal(ofArchive: archive.members.keys)
      }
      throw ModelError(.malformed, "holds a data.pkl that is not in the folder of its first member", file: name)
    }
    let pickle = member.name
    guard archive.members.keys.count(where: { $0.lowercased().hasSuffix("/data.pkl") }) == 1 else {
      throw ModelError(.malformed, "holds several data.pkl", file: name)
    }
    let isScript = archive.member(named: folder + "constants.pkl") != nil
    let isBigEndian = try byteOrder(archive, folder) == "big"
    var storages = TorchStorages()
    let data = try archive.data(of: member)
    var input = ByteReader(data, offset: 0, end: data.count)
    let graph: PickleGraph
    do {
      graph = try PickleReader.read(&input) { id, graph in
        try storages.resolve(id, in: &graph) { request in
          try openStorage(request, archive, folder, isBigEndian: isBigEndian)
        }
      }
    } catch var error as ModelError {
      // Offsets in a stored pickle are told as offsets in the file.
      if let offset = error.offset, !member.isDeflated { error.offset = member.offset + offset }
      throw error.about(pickle)
    }
    return (graph, isScript ? .torchScript : .zip)
  }

  private static func byteOrder(_ archive: ZipArchive, _ folder: String) throws -> String {
    guard let member = archive.member(named: folder + "byteorder") else { return "little" }
    let data = try archive.data(of: member)
    let text = withExtendedLifetime(data) { String(decoding: data.bytes.prefix(20), as: UTF8.self) }
    guard text == "little" || text == "big" else {
      throw ModelError(.malformed, "gives the byte order '\(text)'", file: archive.file.name, subject: member.name)
    }
    return text
  }

  private static func openStorage(
    _ request: TorchStorages.Request, _ archive: ZipArchive, _ folder: String, isBigEndian: Bool
  ) throws -> Storage {
    let name = "\(folder)data/\(request.key)"
    guard let member = archive.member(named: name) else {
      throw ModelError(.missing, "the archive lacks this storage", subject: name)
    }
    guard member.size == request.byteCount else {
      throw ModelError(.malformed, "holds \(member.size) bytes, the pickle says \(request.byteCount)", subject: name)
    }
    let storage = try archive.storage(of: member)
    return isBigEndian ? try TorchStorages.swapped(storage, request) : storage
  }
}

/// Reverses the bytes of each word of `width` bytes.
func swapBytes(_ destination: UnsafeMutableRawBufferPointer, _ source: UnsafeRawBufferPointer, width: Int) {
  mk_swap_bytes(destination.baseAddress, source.baseAddress, min(destination.count, source.count) / width, width)
}
