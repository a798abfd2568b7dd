"""Providers where an address says nothing about a site: whoever writes from there is known by it alone."""

FREE_MAIL = frozenset({
    "126.com", "163.com", "21cn.com", "aim.com", "aol.com", "att.net", "bigpond.com", "bk.ru",
    "bluewin.ch", "btinternet.com", "centrum.cz", "charter.net", "comcast.net", "cox.net", "daum.net",
    "duck.com", "earthlink.net", "email.com", "email.cz", "fastmail.com", "fastmail.fm", "free.fr",
    "freenet.de", "gmail.com", "gmx.at", "gmx.ch", "gmx.com", "gmx.de", "gmx.net", "gmx.us",
    "googlemail.com", "hanmail.net", "hey.com", "home.nl", "hotmail.be", "hotmail.co.uk", "hotmail.com",
    "hotmail.de", "hotmail.es", "hotmail.fr", "hotmail.it", "hotmail.nl", "hushmail.com", "icloud.com",
    "inbox.ru", "inbox.com", "interia.pl", "juno.com", "kpnmail.nl", "laposte.net", "libero.it",
    "list.ru", "live.be", "live.ca", "live.co.uk", "live.com", "live.de", "live.fr", "live.it",
    "live.nl", "mac.com", "mail.bg", "mail.com", "mail.de", "mail.ee", "mail.ru", "me.com", "msn.com",
    "mweb.co.za", "naver.com", "nate.com", "o2.pl", "onet.pl", "op.pl", "optonline.net", "orange.fr",
    "outlook.com", "outlook.de", "outlook.es", "outlook.fr", "outlook.in", "pm.me", "poczta.fm",
    "post.cz", "posteo.de", "proton.me", "protonmail.ch", "protonmail.com", "qq.com", "rambler.ru",
    "rediffmail.com", "rocketmail.com", "sapo.pt", "sbcglobal.net", "seznam.cz", "sfr.fr", "shaw.ca",
    "sina.com", "skynet.be", "sky.com", "sohu.com", "t-online.de", "talktalk.net", "telenet.be",
    "telus.net", "terra.com.br", "tiscali.it", "tuta.com", "tuta.io", "tutamail.com", "tutanota.com",
    "tutanota.de", "ukr.net", "uol.com.br", "verizon.net", "virgilio.it", "virginmedia.com",
    "wanadoo.fr", "web.de", "wp.pl", "ya.ru", "yahoo.ca", "yahoo.co.in", "yahoo.co.jp", "yahoo.co.uk",
    "yahoo.com", "yahoo.com.au", "yahoo.com.br", "yahoo.de", "yahoo.es", "yahoo.fr", "yahoo.in",
    "yahoo.it", "yandex.com", "yandex.ru", "yeah.net", "ymail.com", "ziggo.nl", "zoho.com",
    "zohomail.com",
})  # fmt: skip
