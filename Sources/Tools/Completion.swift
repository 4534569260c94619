import ArgumentParser
import FoundationEssentials
import ModelUtils

/// What a shell offers when a word is completed.
enum Completion {
  /// Files, and the names of architectures.
  static let models = CompletionKind.custom { _, _, prefix in
    Architecture.names.filter { $0.hasPrefix(prefix) } + files(prefix)
  }

  /// The names of architectures.
  static let architectures = CompletionKind.list(Architecture.names)

  /// The names of the tensors of the model that the word before names.
  static let tensors = CompletionKind.custom { words, index, prefix in
    guard words.indices.contains(index - 1), let file = try? ModelSource.open(words[index - 1], reading: .preferred)
    else { return [] }
    return file.preferred.stateDict().names.filter { $0.hasPrefix(prefix) }
  }

  private static func files(_ prefix: String) -> [String] {
    let folder = prefix.lastIndex(of: "/").map { String(prefix[...$0]) } ?? ""
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.isEmpty ? "." : folder)) ?? []
    return names.sorted().map { folder + $0 }.filter { $0.hasPrefix(prefix) }.map { path in
      var isFolder = false
      return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder ? path + "/" : path
    }
  }
}
