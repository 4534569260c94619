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

  package init(_ file: FileBytes) throws {
    do {
      if ZipArchive.recognizes(file) {
        (graph, format) = try Self.readZip(try ZipArchive(file))
      } else {
        graph = try LegacyTorchFile.read(file)
        format = .legacy
      }
    } catch let error as ModelError {
      throw error.inFile(file.name)
    }
  }

  private static func readZip(_ archive: ZipArchive) throws -> (PickleGraph, Format) {
    let name = archive.file.name
    let pickles = archive.members.keys.filter { $0 == "data.pkl" || $0.hasSuffix("/data.pkl") }
    guard let pickle = pickles.min(by: { $0.utf8.count < $1.utf8.count }), pickle.utf8.contains(UInt8(ascii: "/"))
    else {
      throw ModelError(.missing, "is a zip archive but not a PyTorch checkpoint: it holds no data.pkl", file: name)
    }
    let folder = String(pickle.dropLast("data.pkl".count))
    guard pickles.count == 1, folder.utf8.count(where: { $0 == UInt8(ascii: "/") }) == 1 else {
      throw ModelError(.malformed, "holds several data.pkl, or one that is not in its top folder", file: name)
    }
    let isScript = archive.members[folder + "constants.pkl"] != nil
    let isBigEndian = try byteOrder(archive, folder) == "big"
    var storages = TorchStorages()
    guard let member = archive.members[pickle] else { throw ModelError(.malformed, "has no data.pkl", file: name) }
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
    guard let member = archive.members[folder + "byteorder"] else { return "little" }
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
    guard let member = archive.members[name] else {
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
