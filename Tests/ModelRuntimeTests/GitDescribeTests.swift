import ModelRuntime
import Testing

@Suite struct GitDescribeTests {
  private func git(_ arguments: String..., in folder: Folder) throws {
    let settings = [
      "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false",
    ]
    try #require(ChildProcess(["git", "-C", folder.path] + settings + arguments).wait() == 0)
  }

  @Test func tagged() throws {
    let folder = try Folder()
    try git("init", "-q", in: folder)
    #expect(gitDescribe(folder.path).isEmpty, "there is no commit")
    try git("commit", "-q", "--allow-empty", "-m", "one", in: folder)
    let hash = gitDescribe(folder.path)
    #expect(hash.count >= 7 && hash.allSatisfy(\.isHexDigit))
    try git("tag", "v5.0", in: folder)
    #expect(gitDescribe(folder.path) == "v5.0-0-g\(hash)")
    try git("commit", "-q", "--allow-empty", "-m", "two", in: folder)
    #expect(gitDescribe(folder.path).hasPrefix("v5.0-1-g"))
  }

  @Test func elsewhere() throws {
    let folder = try Folder()
    #expect(gitDescribe(folder.path).isEmpty)
    #expect(gitDescribe(folder.file("none")).isEmpty)
  }

  /// A path is an argument, never a command or an option.
  @Test(arguments: ["; touch made", "$(touch made)", "--help", "-C", "a\nb", "'\"", ""])
  func names(_ name: String) throws {
    let folder = try Folder()
    #expect(gitDescribe(folder.file(name)).isEmpty)
    #expect(!gitDescribe("--version").contains("git"))
    #expect(throws: (any Error).self) { try dateModified(folder.file("made")) }
  }
}
